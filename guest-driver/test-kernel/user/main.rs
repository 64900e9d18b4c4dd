//! user
#![no_std]
#![no_main]
use common as _;
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! { loop {} }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
