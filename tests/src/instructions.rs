//! What executed instructions did to a BAR, as text that a test can compare.

use barscope_analysis::Trace;
use barscope_analysis::view::{AccessView, View};

/// The instructions that accessed `region` (like `BAR2`) at privilege level `cpl`, in order, each with all
/// its accesses, as in `add [rdi],eax: R4 0x0=0x10, W4 0x0=0x12`.
pub fn instructions(trace: &Trace, region: &str, cpl: u8) -> Vec<String> {
    let accesses = trace.views().all().iter().filter_map(View::access);
    let here: Vec<_> = accesses.filter(|access| access.cpl == cpl && is_in(*access, region)).collect();
    let executed = here.chunk_by(|one, next| one.instance == next.instance);
    executed
        .map(|parts| {
            let text = parts[0].code().map_or("?", |code| &code.text);
            let parts: Vec<_> = parts.iter().map(|access| part(*access)).collect();
            format!("{text}: {}", parts.join(", "))
        })
        .collect()
}

fn is_in(access: AccessView<'_>, region: &str) -> bool {
    access.place().is_some_and(|place| place.region.to_string() == region)
}

fn part(access: AccessView<'_>) -> String {
    let direction = if access.write { 'W' } else { 'R' };
    let offset = access.place().map_or(0, |place| place.offset);
    format!("{direction}{} {offset:#x}={:#x}", access.size, access.value)
}
