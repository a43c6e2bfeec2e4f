//! The version of a job: a digest of all that a running process depends on.
//!
//! How many instances there are, what must be up before they start, and how long a restart waits
//! are the control plane's business: changing them restarts nothing. The build command is not in
//! the digest either, what it made is.

use serde::Serialize;
use synod_base::Digest;
use synod_manifest::Service;

use crate::keys::Corrupt;

/// The fields of a service that a running process depends on.
const PROCESS_FIELDS: [&str; 7] = ["kind", "run", "dir", "ports", "env", "health", "stop"];

/// The version that runs `spec` as built with the fingerprint `build`.
pub(crate) fn version(spec: &Service, build: Option<&str>) -> Result<String, Corrupt> {
    let mut fields = fields(spec)?;
    fields.retain(|(name, _)| PROCESS_FIELDS.contains(name));
    let bytes = to_vec(spec, &(fields, build))?;
    let mut digest = Digest::default();
    digest.add(&bytes);
    let mut text = digest.to_string();
    text.truncate(16);
    Ok(text)
}

/// The fields in which two specs differ, in the order of the manifest.
pub(crate) fn changed(old: &Service, new: &Service) -> Result<Vec<String>, Corrupt> {
    let pairs = fields(old)?.into_iter().zip(fields(new)?);
    let changed = pairs.filter(|(old, new)| old != new);
    Ok(changed.map(|((name, _), _)| name.to_owned()).collect())
}

/// Each field with its canonical JSON.
fn fields(spec: &Service) -> Result<Vec<(&'static str, String)>, Corrupt> {
    // Spelt out, so that a field added to the manifest must be given its place here.
    let Service {
        name,
        kind,
        run,
        dir,
        build,
        instances,
        ports,
        needs,
        env,
        health,
        restart,
        stop,
    } = spec;
    let text = |value: Result<Vec<u8>, Corrupt>| {
        value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(vec![
        ("name", text(to_vec(spec, name))?),
        ("kind", text(to_vec(spec, kind))?),
        ("run", text(to_vec(spec, run))?),
        ("dir", text(to_vec(spec, dir))?),
        ("build", text(to_vec(spec, build))?),
        ("instances", text(to_vec(spec, instances))?),
        ("ports", text(to_vec(spec, ports))?),
        ("needs", text(to_vec(spec, needs))?),
        ("env", text(to_vec(spec, env))?),
        ("health", text(to_vec(spec, health))?),
        ("restart", text(to_vec(spec, restart))?),
        ("stop", text(to_vec(spec, stop))?),
    ])
}

fn to_vec<T: Serialize>(spec: &Service, value: &T) -> Result<Vec<u8>, Corrupt> {
    serde_json::to_vec(value)
        .map_err(|error| Corrupt { key: spec.name.clone(), reason: error.to_string() })
}
