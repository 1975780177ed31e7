use super::*;
use crate::report::synthetic::{quality, shared_pair};
use crate::report::{Finished, Report, Warning};
use serde_json::json;

fn html(finished: &Finished) -> String {
    String::from_utf8(page(&Document::new(finished).unwrap()).unwrap().bytes).unwrap()
}

fn curves(report: Report) -> Finished {
    Finished::Curves(Box::new(report))
}

fn embedded_values(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"plots\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn both_kinds_have_figures_tables_and_values() {
    let page = html(&curves(shared_pair()));
    assert_eq!(page.matches("<figure data-plot=").count(), 1);
    assert_eq!(page.matches("<table>").count(), 3);
    assert!(page.contains("E-TSDM.pt") && page.contains("UNet2DModel"));
    let plot = &embedded_values(&page)[0];
    assert_eq!(plot["series"], json!(["DDPM", "E-TSDM"]));
    let marks = plot["panels"][0].as_array().unwrap();
    assert_eq!(marks.iter().filter(|mark| mark[0] == 1).count(), 999);
    let point = &shared_pair().models[1].curves[0].points[19];
    let mark = marks.iter().find(|mark| mark[0] == 1 && mark[3] == 19.0).unwrap();
    assert_eq!(mark.as_array().unwrap()[4..], [json!(point.mean), json!(point.ci_low), json!(point.ci_high)]);
    assert_eq!(page.matches("<g data-key=").count(), 2, "a legend entry per series");
    assert!(page.contains("<g data-series=\"1\">") && !page.contains("<g id="));
    let tables = html(&Finished::Tables(Box::new(quality())));
    assert_eq!(tables.matches("<figure data-plot=").count(), 2);
    assert_eq!(embedded_values(&tables)[1]["categories"], json!(["ddim", "dpm-solver-2"]));
}

#[test]
fn no_word_of_a_report_becomes_markup() {
    const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{script}}\" ' & \u{2028}";
    let mut report = shared_pair();
    report.models[0].label = EVIL.into();
    report.models[0].model.source = EVIL.into();
    report.command = EVIL.into();
    report.provenance.plan = json!({ EVIL: EVIL });
    report.provenance.device = EVIL.into();
    report.comparison[0].model = EVIL.into();
    report.warnings = vec![Warning::Data { message: EVIL.into() }];
    let mut tidy = quality();
    tidy.title = EVIL.into();
    tidy.reading = vec![EVIL.into()];
    tidy.tables[0].title = EVIL.into();
    tidy.tables[0].columns[0].about = EVIL.into();
    tidy.tables[0].rows[0][0] = Cell::text(EVIL);
    tidy.charts[0].y.label = EVIL.into();
    tidy.charts[0].title = EVIL.into();
    for page in [html(&curves(report)), html(&Finished::Tables(Box::new(tidy)))] {
        assert_eq!(page.matches("<script").count(), 2, "the values and the program");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<img src=x") && !page.contains("alert(1)</"));
        let series = embedded_values(&page)[0].to_string();
        assert!(series.contains("<script>alert(1)"), "the values themselves are not changed");
    }
}

#[test]
fn nothing_is_fetched_and_only_the_pages_own_script_runs() {
    let page = html(&curves(shared_pair()));
    for request in ["http:", "https:", "@import", "<link", "url(", "srcset", "fetch(", "XMLHttpRequest"] {
        let namespace = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!namespace.contains(request), "{request}");
    }
    let program = page.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(program));
    assert!(page.contains(&format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'"
    )));
}

#[test]
fn missing_numbers_are_marked_and_rounded_ones_keep_their_digits() {
    let mut report = shared_pair();
    report.models[0].curves[0].points[0].mean = Some(0.123456789);
    report.models[0].curves[0].points[1].mean = None;
    let page = html(&curves(report));
    assert!(page.contains("<td class=\"n\" data-v=\"0.123456789\">0.123</td>"));
    assert!(page.contains("<td class=\"n\" data-missing>–</td>"));
}

#[test]
fn an_unfinished_run_says_so() {
    let mut report = shared_pair();
    assert!(!html(&curves(report.clone())).contains("unfinished run"));
    report.complete = false;
    assert!(html(&curves(report)).contains("unfinished run"));
}
