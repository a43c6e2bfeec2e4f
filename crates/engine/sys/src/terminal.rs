//! What the terminal on stderr looks like.

/// Its columns, where stderr is a terminal that tells.
#[must_use]
pub fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}

/// Its rows, where stderr is a terminal that tells.
#[must_use]
pub fn height() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(size.ws_row).filter(|rows| *rows > 0)
}
