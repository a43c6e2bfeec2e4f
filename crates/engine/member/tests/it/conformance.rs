//! The port's conformance suite, against a member in this process.

use std::sync::{Arc, Mutex};

use synod_store::{Store, conformance};

use crate::subject::open;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let members = Arc::new(Mutex::new(Vec::new()));
    conformance::run(|| {
        let number = members.lock().unwrap().len();
        let path = directory.path().join(number.to_string());
        std::fs::create_dir(&path).unwrap();
        let member = open(&path);
        let store: Arc<dyn Store> = Arc::new(member.store());
        // A member lives until its directory goes, which is after every case.
        members.lock().unwrap().push(member);
        async move { store }
    })
    .await;
    assert_eq!(members.lock().unwrap().len(), conformance::cases().len());
}
