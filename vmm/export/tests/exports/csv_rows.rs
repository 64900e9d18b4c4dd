//! CSV, read by Python's module `csv`.

use std::fs::File;

use barscope_export::CsvPrinter;

use super::*;

#[test]
#[ignore = "needs python3"]
fn python_reads_a_row_for_each_record_with_its_values() -> Result<()> {
    let trace = sample()?;
    let (_folder, path) = place("csv")?;
    exported(&trace, CsvPrinter::new(File::create(&path)?))?;
    let rows = read_by("python3".as_ref(), "read_csv.py", &path)?;
    let views = trace.views().all();
    assert_eq!(rows.len(), views.len() + 1);
    for (row, view) in rows.iter().zip(views) {
        let cell = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        let or_empty = |number: Option<String>| number.unwrap_or_default();
        assert_eq!(cell("seq"), view.seq.to_string());
        assert_eq!(cell("event"), view.kind.kind().name);
        assert_eq!(cell("device_ns"), view.device_ns.to_string());
        assert_eq!(cell("host_ns"), view.host_ns.to_string());
        assert_eq!(cell("cause"), or_empty(view.cause().map(|cause| cause.to_string())));
        assert_eq!(cell("scenario"), view.scenario.as_deref().unwrap_or_default());
        assert_eq!(cell("text"), view.text().unwrap_or_default());
        assert_eq!(cell("virtual_address"), or_empty(view.gva().map(|address| format!("{address:#x}"))));
        let register = view.place().and_then(barscope_analysis::view::Place::register_name);
        assert_eq!(cell("register"), register.unwrap_or_default());
        if let Some(access) = view.access() {
            assert_eq!(cell("operation"), if access.write { "write" } else { "read" });
            assert_eq!(cell("value"), format!("{:#x}", access.value));
            assert_eq!(cell("size"), access.size.to_string());
            assert_eq!(cell("outcome"), access.outcome.name());
        }
    }
    let end = rows.last().context("no row")?;
    assert_eq!(
        (&end["event"], &end["text"], &end["value"]),
        (&"end".into(), &"finished".into(), &"0".into())
    );
    let busy = rows.iter().find(|row| row["event"] == "busy").context("nothing is busy")?;
    assert_eq!(busy["details"], "until_ns=1393000");
    Ok(())
}
