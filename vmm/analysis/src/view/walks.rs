//! Page walks, with what was told of their mappings besides the guest's announcements.

use barscope_trace::Definitions;
use barscope_trace::definition::{Definition, Mapping, Walk};
use barscope_trace::event::Id;

/// The walk with this id. A program's page that nobody announced belongs to the file that the program has mapped there,
/// where that was read: that tells path and mapping, which stay inferred. Address spaces are used again, so the first
/// such mapping that is told after the walk counts, else the last before.
pub(crate) fn walk(definitions: &Definitions, id: Id) -> Option<Walk> {
    let walk = definitions.walk(id)?;
    if walk.mapping.is_some() || !walk.in_program() {
        return Some(walk.clone());
    }
    let holding = |(_, mapping): &(Id, &Mapping)| !mapping.announced && mapping.holds(walk);
    let known = definitions.iter().filter_map(|(id, definition)| match definition {
        Definition::Mapping(mapping) => Some((id, mapping)),
        _ => None,
    });
    let (before, after): (Vec<_>, Vec<_>) = known.filter(holding).partition(|(known, _)| *known < id);
    let told = after.first().or(before.last());
    Some(match told {
        Some((mapping, told)) => Walk { path: told.path, mapping: Some(*mapping), ..walk.clone() },
        None => walk.clone(),
    })
}

#[cfg(test)]
mod tests {
    use barscope_trace::definition::Path;
    use barscope_trace::event::AccessEvent;

    use super::*;
    use crate::filter::{Filter, Truth};
    use crate::sample::{MMAP, Sample, USER};

    fn told(sample: &Sample, path: Path, address_space: u64) -> Id {
        let mapping = Mapping {
            path,
            virtual_address: MMAP,
            physical_address: 0,
            length: 0x10_0000,
            address_space: Some(address_space),
            announced: false,
            on_fault: false,
            who: "93 test".into(),
            call: "mmap of resource0".into(),
            of: None,
        };
        sample.writer.define(&Definition::Mapping(mapping)).unwrap()
    }

    #[test]
    fn the_file_that_a_program_has_mapped_tells_the_path_also_afterwards() {
        let mut sample = Sample::new();
        told(&sample, Path::DevMem, USER);
        let page = sample.inferred_user_walk();
        told(&sample, Path::Uio, USER + 0x1000);
        let own = told(&sample, Path::SysfsWc, USER);
        told(&sample, Path::Uio, USER);
        let read = AccessEvent { walk: page, ..sample.user_read(8, 1) };
        let seq = sample.access(read);
        let trace = sample.finished();
        let view = trace.views().get(seq).unwrap();
        let access = view.access().unwrap();
        assert_eq!((access.path(), access.announced()), (Path::SysfsWc, false));
        assert_eq!(access.walk().unwrap().mapping, Some(own));
        assert_eq!(access.mapping().unwrap().length, 0x10_0000);
        let test = |text: &str| Filter::parse(text).unwrap().compile(trace.definitions()).unwrap().test(view);
        assert_eq!(
            (test("via sysfs_wc"), test("via sysfs"), test("via mmap")),
            (Truth::Yes, Truth::No, Truth::No)
        );
        assert_eq!((test("announced"), test("mapped-by == \"93 test\"")), (Truth::No, Truth::Yes));
    }
}
