//! The page of a report in a browser: it fits windows of 360, 800 and 1,400 pixels, light and dark, and explains its words there.
//! Needs Chromium; where there is none, it says what was not run.

mod common;

use common::succeed;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const WIDTHS: [u32; 3] = [360, 800, 1400];

fn chromium() -> Option<PathBuf> {
    let folders = std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|program| program.is_file())
}

/// The page in frames of each width and theme, and a script that measures each once it stands. (A window cannot be as narrow as a
/// telephone; a frame can.)
fn wrapper(page: &str) -> String {
    let text = serde_json::to_string(page).unwrap().replace('<', "\\u003c");
    format!(
        r#"<!DOCTYPE html><meta charset="utf-8"><pre id="found"></pre><script>
const found = [];
const frame = (width, theme) => new Promise((done) => {{
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${{width}}px;height:900px;border:0`;
  frame.onload = () => {{
    const page = frame.contentDocument, root = page.documentElement;
    root.dataset.theme = theme;
    const terms = [...page.querySelectorAll(".term")];
    const shown = terms.map((term) => {{
      term.focus();
      const gloss = term.querySelector(".gloss"), box = gloss.getBoundingClientRect();
      const seen = frame.contentWindow.getComputedStyle(gloss).display === "block";
      page.dispatchEvent(new frame.contentWindow.KeyboardEvent("keydown", {{ key: "Escape" }}));
      const gone = frame.contentWindow.getComputedStyle(gloss).display === "none";
      return seen && gone && box.left >= 0 && box.right <= width && box.width > 100;
    }});
    page.querySelectorAll("details").forEach((folded) => {{ folded.open = true; }});
    const regions = [...page.querySelectorAll(".scroll")];
    // How much of a table's region its first column covers, which stays where it is.
    const covers = (region) => Math.max(...[...region.querySelectorAll("td:first-child")].map((cell) => cell.offsetWidth)) / region.clientWidth;
    found.push({{
      width, theme, scrolls: root.scrollWidth, terms: terms.length, shown: shown.filter(Boolean).length,
      regions: regions.every((region) => region.tabIndex === 0 && region.getAttribute("aria-label")),
      covered: Math.max(...regions.map(covers)),
      figures: [...page.querySelectorAll("figure svg")].every((svg) => svg.getAttribute("aria-label")),
      ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      downloads: [...page.querySelectorAll("a[download]")].map((link) => link.download),
    }});
    done();
  }};
  frame.srcdoc = {text};
  document.body.append(frame);
}});
(async () => {{
  for (const width of {WIDTHS:?}) for (const theme of ["light", "dark"]) await frame(width, theme);
  document.getElementById("found").textContent = JSON.stringify(found);
  document.querySelectorAll("iframe").forEach((frame) => frame.remove());
}})();
</script>"#
    )
}

fn measured(browser: &Path, folder: &Path, page: &str) -> Value {
    let file = folder.join("wrapper.html");
    fs::write(&file, wrapper(page)).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let text =
        dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>")).map(|(text, _)| text);
    let text = text.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        .unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn the_page_fits_every_window_in_both_themes() {
    let Some(browser) = chromium() else {
        eprintln!("not run: the page in a browser; there is no Chromium (Debian: `apt-get install chromium`)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let net = ["--data", "digits", "--arch", "unet:channels=8-8,layers=1", "--steps", "2", "--quiet"];
    for variant in ["ddpm", "e-tsdm"] {
        succeed(here, &[&["train", "--variant", variant, "--out", variant], &net[..]].concat());
    }
    let long = "a-rather-long-name-of-a-checkpoint-without-a-blank";
    let models = ["ddpm/model.pt", "e-tsdm/model.pt", "ideal:digits", "--label", long];
    let plan = [
        "--label",
        "E-TSDM",
        "--label",
        "ideal",
        "--data",
        "digits",
        "--samples",
        "4",
        "--timesteps",
        "0..101",
        "--out",
        "out",
        "--quiet",
    ];
    succeed(here, &[&["compare"], &models[..], &plan[..]].concat());
    succeed(here, &["export", "out", "--to", "html", "--quiet"]);
    let page = fs::read_to_string(here.join("out/report.html")).unwrap();
    let found = measured(&browser, here, &page);
    let frames = found.as_array().unwrap();
    assert_eq!(frames.len(), 2 * WIDTHS.len());
    for frame in frames {
        assert!(
            frame["scrolls"].as_u64().unwrap() <= frame["width"].as_u64().unwrap(),
            "it is wider than its window: {frame}"
        );
        assert!(
            frame["terms"].as_u64().unwrap() >= 5 && frame["terms"] == frame["shown"],
            "a word is not explained: {frame}"
        );
        let covered = frame["covered"].as_f64().unwrap();
        assert!(0.0 < covered && covered <= 0.6, "the first column leaves no room for the others: {frame}");
        assert!(frame["regions"] == true && frame["figures"] == true, "{frame}");
        assert_eq!(frame["downloads"].as_array().unwrap().len(), 3, "{frame}");
        assert_eq!(frame["ground"] == "rgb(253, 253, 251)", frame["theme"] == "light", "{frame}");
    }
}
