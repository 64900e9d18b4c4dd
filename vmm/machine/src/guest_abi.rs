//! The guest ABI as the host reads it: requests, and nothing done about them. See the crate `barscope_guest_abi` for the requests,
//! and [`crate::guest_requests`] for how they are served.

pub mod fuzz;
mod request;
#[cfg(test)]
mod tests;

pub use self::request::{BadRequest, Bulk, FileKey, Maps, Now, Request, RingAt, State};
