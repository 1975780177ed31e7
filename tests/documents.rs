//! README and docs/: links lead somewhere, commands are ones that lipscope takes, and what they print is what stands there.

mod common;

use clap::Parser;
use common::{lipscope, succeed};
use lipscope_core::cli::args::Cli;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of the README at most: two screens and the commands.
const README: usize = 8_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.sort();
    pages
}

/// README, docs/, and the READMEs of the studies.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    pages.extend(markdown_in(&root().join("docs")));
    pages.extend(markdown_in(&root().join("analysis")));
    for study in fs::read_dir(root().join("analysis")).unwrap() {
        let readme = study.unwrap().path().join("README.md");
        pages.extend(readme.is_file().then_some(readme));
    }
    pages
}

/// A block of code: what stands behind its opening fence, and its lines.
struct Block {
    language: String,
    lines: Vec<String>,
}

/// The text without code, and the blocks of code, fenced or indented. A line that ends with a backslash goes on in the next.
fn split(text: &str) -> (String, Vec<Block>) {
    let (mut prose, mut blocks, mut open, mut indented) = (String::new(), Vec::new(), None::<Block>, false);
    for line in text.lines() {
        let was_indented = std::mem::take(&mut indented);
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some(Block { language: language.into(), lines: Vec::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.push(line),
            (None, None) if line.starts_with("    ") => {
                indented = true;
                if !was_indented {
                    blocks.push(Block { language: String::new(), lines: Vec::new() });
                }
                blocks.last_mut().unwrap().push(line.trim());
            }
            (None, None) => prose += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "a block of code does not end");
    (prose, blocks)
}

impl Block {
    fn push(&mut self, line: &str) {
        match self
            .lines
            .last_mut()
            .and_then(|last| last.strip_suffix('\\').map(str::to_string).map(|start| (last, start)))
        {
            Some((last, start)) => *last = start + line,
            None => self.lines.push(line.into()),
        }
    }
}

/// The anchor that GitHub and mdBook give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let (prose, _) = split(&fs::read_to_string(page).unwrap());
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#')));
    headings.collect()
}

/// Targets of links and pictures.
fn targets(prose: &str) -> Vec<&str> {
    let parts = prose.split("](").skip(1);
    parts.filter_map(|part| part.split_once(')')).map(|(target, _)| target).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let (prose, _) = split(&text);
        for target in targets(&prose).into_iter().filter(|target| !target.contains("://")) {
            let (file, section) =
                target.split_once('#').map_or((target, None), |(file, section)| (file, Some(section)));
            let place = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found =
                place.exists() && section.is_none_or(|section| place.is_file() && anchors(&place).contains(section));
            if !found {
                broken.push(format!("{}: {target}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_readme_is_short_and_the_summary_names_every_page() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.len() <= README, "README.md has {} bytes; what is more belongs into docs/", readme.len());
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let named: BTreeSet<PathBuf> = targets(&summary).into_iter().map(|target| docs.join(target)).collect();
    let there: BTreeSet<PathBuf> =
        markdown_in(&docs).into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(named, there);
}

/// `$ lipscope …` as words, without its comment.
fn command(line: &str) -> Option<Vec<String>> {
    let text = line.strip_prefix("$ ").filter(|text| text.starts_with("lipscope "))?;
    Some(shlex::split(text).unwrap_or_else(|| panic!("a shell does not take `{text}`")))
}

#[test]
fn every_command_is_one_that_lipscope_takes() {
    let (mut count, mut refused) = (0, Vec::new());
    for page in pages() {
        let (_, blocks) = split(&fs::read_to_string(&page).unwrap());
        for line in blocks.iter().flat_map(|block| &block.lines) {
            let Some(words) = command(line).filter(|words| !words.iter().any(|word| word.contains('…'))) else {
                continue;
            };
            count += 1;
            if let Err(error) = Cli::try_parse_from(&words) {
                refused.push(format!("{}: {line}\n{error}", page.display()));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(count > 60, "only {count} commands were found");
}

#[test]
fn the_guide_leads_through_without_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let x0 = ndarray::Array4::<f32>::from_shape_fn((16, 1, 8, 8), |(n, _, i, j)| {
        ((n + 3 * i + 5 * j) % 8) as f32 / 4.0 - 1.0
    });
    ndarray_npy::write_npy(here.join("x0.npy"), &x0).unwrap();
    for (variant, out) in [("ddpm", "base"), ("e-tsdm", "shared")] {
        let net = ["--data", "x0.npy", "--arch", "unet:channels=8-8,layers=1", "--steps", "2", "--out", out];
        succeed(here, &[&["train", "--variant", variant, "--quiet"], &net[..]].concat());
    }
    fs::copy(here.join("base/model.pt"), here.join("ckpt.pt")).unwrap();
    succeed(here, &["measure", "ckpt.pt", "--data", "x0.npy", "--timesteps", "0..40", "--samples", "4", "--quiet"]);
    let (_, blocks) = split(&fs::read_to_string(root().join("docs/guide.md")).unwrap());
    let lines = blocks.iter().filter(|block| block.language == "console,dry").flat_map(|block| &block.lines);
    let commands: Vec<Vec<String>> = lines.filter_map(|line| command(line)).collect();
    assert_eq!(commands.len(), 8);
    for words in &commands {
        let words: Vec<&str> = words[1..].iter().map(String::as_str).chain(["--dry-run"]).collect();
        succeed(here, &words);
    }
}

/// Whether two lines are alike but for the last digits of their numbers: another processor's rounding, which chance
/// may carry into the third digit where it moves one sample across a quantile.
fn alike(told: &str, printed: &str) -> bool {
    let pieces = |line: &str| -> (String, Vec<f64>) {
        let (mut text, mut numbers, mut digits) = (String::new(), Vec::new(), String::new());
        for c in line.chars().chain(['\n']) {
            if c.is_ascii_digit() || (c == '.' && !digits.is_empty()) {
                digits.push(c);
                continue;
            }
            if let Ok(number) = digits.trim_end_matches('.').parse() {
                numbers.push(number);
                text.push('#');
            }
            digits.clear();
            if !c.is_whitespace() {
                text.push(c);
            }
        }
        (text, numbers)
    };
    let ((a, x), (b, y)) = (pieces(told), pieces(printed));
    a == b && x.iter().zip(&y).all(|(x, y)| (x - y).abs() <= 0.03 * x.abs().max(y.abs()))
}

/// Whether the lines told stand in what was printed, in that order; `…` stands for any lines.
fn shows(told: &[String], printed: &[&str]) -> Result<(), String> {
    let mut at = 0;
    let mut anywhere = false;
    for line in told {
        if line == "…" {
            anywhere = true;
            continue;
        }
        let found =
            printed[at..].iter().position(|printed| alike(line, printed)).filter(|skipped| anywhere || *skipped == 0);
        let Some(skipped) = found else {
            return Err(format!("`{line}` is not printed behind line {at} of\n{}", printed.join("\n")));
        };
        (at, anywhere) = (at + skipped + 1, false);
    }
    if anywhere || at == printed.len() { Ok(()) } else { Err(format!("more is printed: {:?}", &printed[at..])) }
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    let folder = tempfile::tempdir().unwrap();
    let (_, blocks) = split(&fs::read_to_string(root().join("README.md")).unwrap());
    let runs: Vec<&Block> = blocks.iter().filter(|block| block.language == "console,run").collect();
    assert_eq!(runs.len(), 5);
    for block in runs {
        let words = command(&block.lines[0]).unwrap();
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = lipscope(folder.path(), &words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        shows(&block.lines[1..], &printed.lines().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{words:?}: {e}"));
    }
}

#[test]
fn a_wrong_line_is_noticed() {
    let told = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
    let printed = ["a 1.00", "b 2 [1.9, 2.1]", "c"];
    assert!(shows(&told("a 1.01\n…\nc"), &printed).is_ok());
    assert!(shows(&told("a 1.00\n…"), &printed).is_ok());
    for wrong in ["a 1.10\n…", "a 1.00\nc", "a 1.00", "…\nd\n…", "a 1.00\nb 2 [1.9, 2.1, 0]\nc"] {
        assert!(shows(&told(wrong), &printed).is_err(), "{wrong}");
    }
}
