use super::*;
use crate::report::synthetic::{exploding, quality, shared_pair};
use crate::report::{Finished, Report, TidyReport};

fn of(finished: &Finished) -> Value {
    let artifact = notebook(&Document::new(finished).unwrap()).unwrap();
    serde_json::from_slice(&artifact.bytes).unwrap()
}

fn curves(report: Report) -> Value {
    of(&Finished::Curves(Box::new(report)))
}

fn tables(report: TidyReport) -> Value {
    of(&Finished::Tables(Box::new(report)))
}

fn sources(notebook: &Value, kind: &str) -> Vec<String> {
    let cells = notebook["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == kind);
    let text = |cell: &Value| cell["source"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    cells.map(text).collect()
}

#[test]
fn cells_are_what_the_format_asks_for() {
    for notebook in [curves(shared_pair()), tables(quality())] {
        assert_eq!((&notebook["nbformat"], &notebook["nbformat_minor"]), (&json!(4), &json!(5)));
        let cells = notebook["cells"].as_array().unwrap();
        let ids: Vec<&str> = cells.iter().map(|cell| cell["id"].as_str().unwrap()).collect();
        assert!(ids.iter().enumerate().all(|(i, id)| *id == format!("cell-{i}")));
        for cell in cells.iter().filter(|cell| cell["cell_type"] == "code") {
            assert!(cell["execution_count"].is_u64() && cell["outputs"].is_array());
        }
    }
}

#[test]
fn outputs_are_said_to_be_ours_and_are_our_figures() {
    let notebook = tables(quality());
    assert!(sources(&notebook, "markdown")[0].contains("rendered by `lipscope export`"));
    let cells = notebook["cells"].as_array().unwrap();
    let images: Vec<&str> = cells.iter().filter_map(|c| c["outputs"][0]["data"]["image/png"].as_str()).collect();
    let told = |c: &&Value| c["outputs"][0]["metadata"]["image/png"]["alt"].as_str().is_some_and(|alt| !alt.is_empty());
    assert_eq!(cells.iter().filter(told).count(), images.len());
    let report = quality();
    for (image, chart) in images.iter().zip(&report.charts) {
        let drawn = crate::report::chart(&report, chart).unwrap().artifact(FigureFormat::Png).unwrap();
        assert_eq!(STANDARD.decode(image).unwrap(), drawn.bytes);
    }
    assert_eq!(images.len(), 2);
}

#[test]
fn the_code_reads_files_and_draws() {
    let code = sources(&tables(quality()), "code");
    assert!(code[0].contains("def chart(") && !code[0].contains("def curves("));
    assert_eq!(code[1], "quality_rows = table(\"quality.csv\")\nquality_rows.head(8)");
    assert!(code[2].contains("log_x=True") && code[2].contains("panels=\"model\""), "{}", code[2]);
    assert!(code[3].contains("quality_rows[quality_rows[\"nfe\"] == 10],"), "{}", code[3]);
    let code = sources(&curves(shared_pair()), "code");
    assert!(code[0].contains("def curves(") && code.last().unwrap().starts_with("curves(curve_rows, until=115,"));
}

#[test]
fn curves_over_the_noise_level_are_drawn_over_it() {
    for (from, _) in OVER_NOISE_LEVEL {
        assert_eq!(CURVES.matches(from).count(), 1, "{from}");
    }
    let code = sources(&curves(exploding()), "code");
    assert!(code[0].contains("rows.assign(timestep=rows[\"sigma\"] / rows[\"alpha\"])"), "{}", code[0]);
    assert!(code[0].contains("axis.set_xscale(\"log\")") && !code[0].contains("timestep t"), "{}", code[0]);
    // σ at t = 115 of 0.002·40000^(t/999).
    assert!(code.last().unwrap().starts_with("curves(curve_rows, until=0.00677"), "{}", code.last().unwrap());
    assert!(!sources(&curves(shared_pair()), "code")[0].contains("xscale"));
}

#[test]
fn words_of_a_report_are_neither_markup_nor_code() {
    const EVIL: &str = "<script>alert(1)</script> $x$ ``` \"\nimport os";
    let mut report = quality();
    report.title = EVIL.into();
    report.reading = vec![EVIL.into()];
    report.charts[0].title = EVIL.into();
    report.tables[0].rows[0][0] = Cell::text(EVIL);
    report.charts[1].only = vec![("model".into(), Cell::text(EVIL))];
    report.provenance.plan = json!({ "a": EVIL });
    let notebook = tables(report);
    for text in sources(&notebook, "markdown") {
        let (prose, _) = text.split_once("```json").unwrap_or((&text, ""));
        assert!(!prose.contains("<script>") && !prose.contains(" $x$") && !prose.contains("\nimport os"), "{text}");
    }
    let html: String = notebook["cells"][3]["outputs"][0]["data"]["text/html"].to_string();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
    for text in sources(&notebook, "code") {
        assert!(!text.contains("\nimport os"), "{text}");
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let bytes = || notebook(&Document::new(&Finished::Curves(Box::new(shared_pair()))).unwrap()).unwrap();
    assert!(bytes() == bytes());
}
