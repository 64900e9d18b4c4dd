//! The ring-3 program of the test kernel: reaches the device by the driver's `mmap`, with plain
//! loads and stores.

#![no_std]
#![no_main]

mod lab;
mod system_call;
mod user;

use core::arch::asm;
use core::panic::PanicInfo;

use common::system_call::routine;

/// Entered from the kernel; `choice` is one of [`routine`], which says what the arguments are.
#[unsafe(no_mangle)]
extern "C" fn _start(choice: u64, first: u64, second: u64) -> ! {
    let value = second as u32;
    let code = match choice {
        routine::EXCHANGE => user::exchange(first, value),
        routine::WRITE_AND_READ => user::write_and_read(first, value),
        routine::READ_TEN_TIMES => user::read_ten_times(first),
        routine::THOUSAND_ACCESSES => user::thousand_accesses(first, value),
        routine::READ_PAUSE_READ => user::read_pause_read(first, value),
        routine::WRITE_AND_UNMAP => user::write_and_unmap(first, value),
        routine::TOUCH_AFTER_UNMAP => user::touch_after_unmap(first),
        routine::MAP_PAST_END => user::map_past_end(),
        routine::READ_ADDRESS => user::read_address(first),
        routine::SHAPE => user::shape(first, second),
        routine::WRITE_COMBINING => user::write_combining(first, value),
        routine::COUNT_UP => user::count_up(first, value),
        routine::RING_AND_READ_ON => user::ring_and_read_on(first),
        routine::READ_ACROSS_END => user::read_across_end(first),
        routine::FLOAT_LOAD => user::float_load(first),
        routine::MAP_SECOND_PAGE => user::map_second_page(first, value),
        routine::READ_PAST_END => user::read_past_end(first),
        _ => give_up(),
    };
    system_call::exit(code)
}

/// Ends the program by an exception, which the scenario can't take for an exit code.
fn give_up() -> ! {
    // SAFETY: the kernel stops the program here.
    unsafe { asm!("ud2", options(noreturn, nomem, nostack)) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    give_up()
}
