//! Who offers which service where: instances registered under leases, and watches over them
