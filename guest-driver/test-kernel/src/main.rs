//! kernel
#![no_std]
#![no_main]
use common as _;
mod serial;
mod port;
core::arch::global_asm!(include_str!("boot.s"), options(att_syntax));
static USER: &[u8] = include_bytes!(env!("TEST_KERNEL_PROGRAM"));
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u64) -> ! { serial::print("hello\n"); port::write8(0xf4, 0x10); loop {} }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
