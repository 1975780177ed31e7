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
    assert_eq!(page.matches("<table>").count(), 4);
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

#[test]
fn a_download_is_the_file_that_export_writes() {
    let mut report = shared_pair();
    report.models[0].label = "a, \"b\" <c> & 100 % #1".into();
    report.comparison.iter_mut().for_each(|row| row.model = "é?\\".into());
    let page = html(&curves(report.clone()));
    let decoded = |name: &str| -> Vec<u8> {
        let (_, rest) = page.split_once(&format!("download=\"{name}\" href=\"data:text/csv;charset=utf-8,")).unwrap();
        let (mut bytes, mut rest) = (Vec::new(), rest.split_once('"').unwrap().0.bytes());
        while let Some(byte) = rest.next() {
            let hex = |byte: Option<u8>| (byte.unwrap() as char).to_digit(16).unwrap() as u8;
            bytes.push(if byte == b'%' { 16 * hex(rest.next()) + hex(rest.next()) } else { byte });
        }
        bytes
    };
    for file in [csv::curve_csv(&report).unwrap(), csv::comparison_csv(&report).unwrap()] {
        assert_eq!(String::from_utf8(decoded(&file.file_name)), String::from_utf8(file.bytes), "{}", file.file_name);
    }
}

#[test]
fn sub_intervals_are_numbered_with_the_jumps_at_their_ends() {
    let report = shared_pair();
    let boundaries = &report.models[1].model.boundaries;
    let page = html(&curves(report.clone()));
    let section = page.split_once("<h2>Shared sub-intervals").unwrap().1.split_once("</section>").unwrap().0;
    assert_eq!(section.matches("<tr>").count(), boundaries.len(), "a head, and a row for each");
    let jump = report.models[1].curves[0].points.iter().find(|point| point.timestep == boundaries[1] - 1.0).unwrap();
    assert!(section.contains(&format!("data-v=\"{}\"", jump.mean.unwrap())), "{section}");
    assert!(page.contains(&format!("1\u{a0}[{}, {})", boundaries[0], boundaries[1])), "the caption names them");
    let mut many = report.clone();
    many.models[1].model.boundaries = (0..=50).map(|i| f64::from(2 * i)).collect();
    let caption = html(&curves(many));
    let caption = caption.split_once("<figcaption>").unwrap().1.split_once("</figcaption>").unwrap().0;
    assert!(caption.ends_with("6\u{a0}[10, 12), …, 50\u{a0}[98, 100)"), "{caption}");
    let mut plain = report;
    plain.models.iter_mut().for_each(|model| model.model.boundaries.clear());
    assert!(!html(&curves(plain)).contains("<h2>Shared sub-intervals"));
}

#[test]
fn labels_lead_somewhere_and_no_id_is_there_twice() {
    let page = html(&curves(shared_pair()));
    let values = |name: &str| -> Vec<String> {
        let attribute = format!(" {name}=\"");
        page.split(&attribute).skip(1).map(|part| part.split_once('"').unwrap().0.to_string()).collect()
    };
    let mut ids = values("id");
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let described = values("aria-describedby");
    assert!(described.len() > 3 && described.iter().all(|id| ids.contains(id)), "{described:?}");
    assert!(page.contains("<html lang=\"en\">") && page.matches("<h1>").count() == 1);
    assert!(page.contains("href=\"#main\"") && page.contains("id=\"main\""));
    assert_eq!(page.matches("<svg").count(), page.matches("role=\"img\" aria-label=\"").count());
    assert!(described.iter().any(|id| id == "reading"), "the reading tells what the figure shows");
    assert!(page.contains("<pre tabindex=\"0\" role=\"region\" aria-label=\"Resolved plan\">"));
}

#[test]
fn a_long_label_does_not_fill_the_column_that_stays() {
    let mut report = shared_pair();
    assert!(!html(&curves(report.clone())).contains("<table class=\"long\">"));
    report.models[1].label = "a-rather-long-name-of-a-checkpoint-without-a-blank".into();
    assert!(html(&curves(report)).contains("<table class=\"long\">"));
}

/// WCAG 2's ratio between the lighter and the darker of two colours.
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |hex: &str| {
        let channel = |i: usize| {
            let value = f64::from(u8::from_str_radix(&hex[i..i + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn words_stand_out_from_their_ground_in_both_themes() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    let themes: Vec<&str> = STYLE.split(":root").filter(|theme| theme.contains("--paper: #")).collect();
    assert!(themes.len() >= 3);
    for theme in themes {
        let colour = |name: &str| {
            let (_, rest) = theme.split_once(&format!("--{name}: ")).unwrap();
            let hex = rest.split_once(';').unwrap().0.to_string();
            if hex.len() == 4 {
                hex.chars().flat_map(|c| std::iter::repeat_n(c, if c == '#' { 1 } else { 2 })).collect()
            } else {
                hex
            }
        };
        for ground in ["paper", "card", "tint"] {
            for words in ["ink", "soft", "link"] {
                let ratio = contrast(&colour(words), &colour(ground));
                assert!(ratio >= 4.5, "{words} on {ground}: {ratio:.2}");
            }
        }
        assert!(contrast(&colour("warn"), &colour("warn-tint")) >= 4.5);
        for series in ["s0", "s1", "s2", "s3", "s4"] {
            let ratio = contrast(&colour(series), &colour("card"));
            assert!(ratio >= 2.0, "a line of {series}: {ratio:.2}");
        }
    }
}
