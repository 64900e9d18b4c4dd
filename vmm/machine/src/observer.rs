//! Whoever watches a vCPU's thread from the inside: benchmarks.

/// Told of each entry into the guest and each return from it, on the vCPU's own thread.
///
/// `()` watches nothing and costs nothing: it is what every machine runs with unless somebody measures.
pub trait Observer: Send + 'static {
    /// The next call is KVM_RUN.
    #[inline]
    fn entering(&mut self) {}

    /// KVM_RUN has returned, for whatever reason.
    #[inline]
    fn left(&mut self) {}

    /// What it returned for is an access to this port, which is served next.
    #[inline]
    fn port(&mut self, _port: u16) {}
}

impl Observer for () {}
