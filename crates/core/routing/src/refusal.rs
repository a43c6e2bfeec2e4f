//! Why a request is turned away before it is routed.

use thiserror::Error;

/// Why a request is turned away before it is routed. The connection is closed after it, because
/// a request that is malformed in one respect cannot be trusted in where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A line of the head ends in a line feed alone.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// A chunk's size, extension, end or trailer.
    #[error("the chunked body is malformed")]
    ChunkMalformed,
    /// Both lengths are given (RFC 9112 §6.1: the way to smuggle).
    #[error("content-length and transfer-encoding exclude each other")]
    ConflictingLengths,
    /// CONNECT, which a gateway does not serve.
    #[error("the method CONNECT is not served here")]
    ConnectMethod,
    /// Not exactly one number of decimal digits.
    #[error("content-length must be one decimal number")]
    ContentLengthInvalid,
    /// `%2F`, `%5C` or `%00`, which back ends decode differently.
    #[error("the path holds an encoded slash, backslash or NUL")]
    EscapeForbidden,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a percent sign without two hexadecimal digits")]
    EscapeInvalid,
    /// `#` in the request target.
    #[error("the request target holds a fragment")]
    Fragment,
    /// A header name or value with a byte that may not be there.
    #[error("a header line is malformed")]
    HeaderInvalid,
    /// More bytes in the head than `Limits::head_size_max`.
    #[error("the header section is too large")]
    HeadersTooLarge,
    /// The head did not arrive in time.
    #[error("the header section took too long to arrive")]
    HeadTimeout,
    /// Not `host` or `host:port`.
    #[error("the host is not a valid name or address with an optional port")]
    HostInvalid,
    /// The request target names another host than the Host header.
    #[error("the request target and the host header name different hosts")]
    HostMismatch,
    /// No Host header.
    #[error("the host header is missing")]
    HostMissing,
    /// More than one Host header.
    #[error("more than one host header")]
    HostRepeated,
    /// `Connection` nominates a header that routes or frames the request.
    #[error("the connection header nominates a header that may not be removed")]
    NominationForbidden,
    /// A header value continued on the next line (RFC 9112 §5.2).
    #[error("a header value is folded over lines")]
    ObsoleteFold,
    /// The request line is not `METHOD SP target SP HTTP/1.x`.
    #[error("the request line is malformed")]
    RequestLineInvalid,
    /// The path is not absolute or holds a raw byte that must be encoded.
    #[error("the path is malformed")]
    TargetInvalid,
    /// More header lines than `Limits::headers_max`.
    #[error("too many headers")]
    TooManyHeaders,
    /// Not exactly `chunked`, once, in HTTP/1.1.
    #[error("transfer-encoding must be chunked, once, and in HTTP/1.1")]
    TransferEncodingInvalid,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the protocol version is not served here")]
    VersionUnsupported,
}

impl Refusal {
    /// The status code of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::ConnectMethod => 405,
            Self::HeadTimeout => 408,
            Self::HeadersTooLarge | Self::TooManyHeaders => 431,
            Self::VersionUnsupported => 505,
            _ => 400,
        }
    }
}
