//! Which tests run where: each by what it says that it needs, in groups that need the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::Ignored;
use crate::needs::{Needs, Thing};

/// Tests that need the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// What they need.
    pub needs: Needs,
    /// Integration tests that hold them, `None` for unit tests: how many are in each.
    pub programs: BTreeMap<Option<String>, usize>,
    /// Their names; of equal names all are meant.
    pub names: BTreeSet<String>,
}

/// What runs where.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// On this machine.
    pub here: Vec<Group>,
    /// In virtual machines with kvm-amd, all those that need no more than any KVM.
    pub nested: Option<Group>,
    /// Nowhere: the test, and for want of what.
    pub not_run: Vec<(String, String)>,
}

impl Plan {
    /// Places each test; `lacking` says why a thing is not to be had.
    ///
    /// # Errors
    /// The tests that don't say what they need, or say it so that they can't be told apart.
    pub fn new(tests: &[Ignored], lacking: impl Fn(Thing) -> Option<String>) -> Result<Self, String> {
        let tests: Vec<(&Ignored, Needs)> = tests.iter().map(checked).collect::<Result<_, _>>()?;
        unambiguous(&tests)?;
        let mut plan = Self::default();
        let mut here: BTreeMap<&Needs, Vec<&Ignored>> = BTreeMap::new();
        let mut nested = Vec::new();
        // What a machine in QEMU is made of.
        let no_machine = [Thing::Qemu, Thing::Kernel].into_iter().find_map(&lacking);
        for (test, needs) in &tests {
            let wanting: Vec<_> = needs.iter().filter_map(&lacking).collect();
            if wanting.is_empty() {
                here.entry(needs).or_default().push(test);
            } else {
                plan.not_run.push((shown(test), wanting.join("; ")));
            }
            let anywhere = needs.has(Thing::Kvm);
            match &no_machine {
                _ if !anywhere => {}
                None => nested.push(*test),
                Some(why) => plan.not_run.push((format!("{} on kvm-amd", shown(test)), why.clone())),
            }
        }
        plan.here = here.into_iter().map(|(needs, tests)| group(needs, &tests)).collect();
        let any_kvm = Needs::parse("needs /dev/kvm")?;
        plan.nested = (!nested.is_empty()).then(|| group(&any_kvm, &nested));
        Ok(plan)
    }
}

fn checked(test: &Ignored) -> Result<(&Ignored, Needs), String> {
    let needs = Needs::parse(&test.reason).map_err(|error| format!("{}: {error}", shown(test)))?;
    if needs.has(Thing::Kvm) && (needs.iter().count() > 1 || test.program.is_none()) {
        return Err(format!(
            "{}: on kvm-amd run integration tests that need nothing else; it needs {:?}",
            shown(test),
            Thing::OwnKvm.words()
        ));
    }
    Ok((test, needs))
}

/// A name is all that a test program takes.
fn unambiguous(tests: &[(&Ignored, Needs)]) -> Result<(), String> {
    let mut known: BTreeMap<&str, (&Ignored, &Needs)> = BTreeMap::new();
    for (test, needs) in tests {
        let (other, others) = *known.entry(&test.name).or_insert((test, needs));
        if others != needs {
            return Err(format!("{} and {} need different things", shown(other), shown(test)));
        }
    }
    Ok(())
}

fn group(needs: &Needs, tests: &[&Ignored]) -> Group {
    let mut programs = BTreeMap::new();
    for test in tests {
        *programs.entry(test.program.clone()).or_default() += 1;
    }
    Group { needs: needs.clone(), programs, names: tests.iter().map(|test| test.name.clone()).collect() }
}

fn shown(test: &Ignored) -> String {
    format!("{}::{}", test.program.as_deref().unwrap_or("(unit test)"), test.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(program: &str, name: &str, reason: &str) -> Ignored {
        Ignored { program: Some(program.into()), name: name.into(), reason: reason.into() }
    }

    fn names(group: &Group) -> Vec<&str> {
        group.names.iter().map(String::as_str).collect()
    }

    #[test]
    fn tests_run_where_what_they_need_is() {
        let tests = [
            test("edu", "factorial", "needs /dev/kvm"),
            test("explain", "access", "needs this machine's /dev/kvm"),
            test("linux", "passes", "needs QEMU, Debian's kernel and its headers"),
            test("regions", "bar_moves", "needs /dev/kvm"),
            test("determinism", "hundred", "needs this machine's /dev/kvm and minutes"),
        ];
        let lacking = |thing| (thing == Thing::Minutes).then(|| "--long".to_owned());

        let plan = Plan::new(&tests, lacking).unwrap();

        let here: Vec<_> = plan.here.iter().map(|group| (group.needs.to_string(), names(group))).collect();
        let expected = [
            ("/dev/kvm".to_owned(), vec!["bar_moves", "factorial"]),
            ("this machine's /dev/kvm".to_owned(), vec!["access"]),
            ("QEMU, Debian's kernel and its headers".to_owned(), vec!["passes"]),
        ];
        assert_eq!(here, expected);
        let nested = plan.nested.unwrap();
        assert_eq!(names(&nested), ["bar_moves", "factorial"]);
        let programs = ["edu", "regions"].map(|program| (Some(program.to_owned()), 1));
        assert_eq!(nested.programs, programs.into());
        assert_eq!(plan.not_run, [("determinism::hundred".to_owned(), "--long".to_owned())]);
    }

    #[test]
    fn without_kvm_a_test_still_runs_nested_and_without_qemu_it_is_named() {
        let tests = [test("edu", "factorial", "needs /dev/kvm")];

        let no_kvm = |thing| (thing == Thing::Kvm).then(|| "no kvm".to_owned());
        let plan = Plan::new(&tests, no_kvm).unwrap();
        assert_eq!(plan.here, []);
        assert_eq!(plan.nested.as_ref().map(names), Some(vec!["factorial"]));
        assert_eq!(plan.not_run, [("edu::factorial".to_owned(), "no kvm".to_owned())]);

        let no_qemu = |thing| (thing == Thing::Qemu).then(|| "no QEMU".to_owned());
        let plan = Plan::new(&tests, no_qemu).unwrap();
        assert_eq!(plan.here.len(), 1);
        assert_eq!(plan.nested, None);
        assert_eq!(plan.not_run, [("edu::factorial on kvm-amd".to_owned(), "no QEMU".to_owned())]);
    }

    #[test]
    fn a_test_that_does_not_say_what_it_needs_is_an_error() {
        let everything = |_| None;
        for (reason, error) in [
            ("", "edu::it: \"\" is not what a test may say"),
            ("slow", "edu::it: \"slow\" is not what a test may say"),
            ("needs /dev/kvm and QEMU", "edu::it: on kvm-amd run integration tests that need nothing else"),
        ] {
            let found = Plan::new(&[test("edu", "it", reason)], everything).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
        let unit = Ignored { program: None, name: "it".into(), reason: "needs /dev/kvm".into() };
        assert!(Plan::new(&[unit], everything).is_err());
    }

    #[test]
    fn one_name_for_tests_that_need_different_things_is_an_error() {
        let tests = [test("edu", "it", "needs QEMU"), test("linux", "it", "needs lspci")];
        let error = Plan::new(&tests, |_| None).unwrap_err();
        assert_eq!(error, "edu::it and linux::it need different things");
    }
}
