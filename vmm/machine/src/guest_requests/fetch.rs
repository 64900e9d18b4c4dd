//! What the host has for the guest, written to the guest's memory.

use barscope_device::DmaMemory;
use barscope_guest_abi::request;
use barscope_x86::{Registers, walk};

use crate::guest_abi::BadRequest;
use crate::shared::Shared;

/// Writes bytes from `offset` on to as many as `length` bytes of virtual memory.
///
/// # Errors
/// [`BadRequest::Pointer`] if memory isn't there.
pub fn fetch(
    shared: &Shared,
    registers: &Registers,
    offset: u64,
    to: u64,
    length: u64,
) -> Result<(), BadRequest> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = shared.for_guest.get(start..).unwrap_or_default();
    let mut rest = &rest[..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
    let mut at = to;
    while !rest.is_empty() {
        let bad = BadRequest::Pointer { request: request::FETCH, address: at };
        let Some(page) = walk(&shared.memory, registers, at) else { return Err(bad) };
        let room = page.page_size - (at & (page.page_size - 1));
        let (here, after) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        shared.memory.write(page.translate(at), here).map_err(|_| bad)?;
        (at, rest) = (at.wrapping_add(here.len() as u64), after);
    }
    Ok(())
}
