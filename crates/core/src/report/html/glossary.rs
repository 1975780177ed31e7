//! Words of the field, explained where they first stand: on hover, on focus and on tap, and once more at the end.

use super::escape::escaped;

/// A word as it stands in a report, and what it means, in a sentence; longer words first, as they may hold shorter ones.
const TERMS: [(&str, &str); 21] = [
    (
        "cannot be told from these steps",
        "The 95 % interval of the slope p holds −0.1, or the curve may flatten towards t = 0: more samples or finer steps may tell.",
    ),
    ("posterior weight", "The probability, given x_t, that it came from this point of the data."),
    ("total variation", "Σ K·Δt: how far the prediction moves in all over these timesteps, jumps included."),
    ("ideal denoiser", "The network of lowest loss on this very data, in closed form: what training tends to."),
    (
        "sub-intervals",
        "Stretches of t in which the network is told one and the same t (E-TSDM, arXiv 2306.11251, section 5).",
    ),
    (
        "95 % interval",
        "A range made so that, over repeated draws of the samples, 95 % of such ranges hold the expectation.",
    ),
    ("interpolated", "Linear between the measured timesteps, as not every step was measured."),
    (
        "sub-interval",
        "A stretch of t in which the network is told one and the same t (E-TSDM, arXiv 2306.11251, section 5).",
    ),
    (
        "derivative",
        "D(t) = E‖∂ε(x_t, f(t))/∂t‖, exact, without a step size; ε is the predicted noise, or what is measured in its place.",
    ),
    ("condition", "The number that the network is told for t: the same for all t of a shared sub-interval."),
    (
        "singular",
        "The curve grows without bound towards t = 0: all of the 95 % interval of its slope p lies below −0.1, and it does not flatten there.",
    ),
    ("bounded", "On the grid the curve does not blow up: all of the 95 % interval of its slope p lies above −0.1."),
    ("log-SNR", "ln(α²/σ²), the logarithm of the ratio of signal to noise at t."),
    ("E-TSDM", "Early-timestep-shared diffusion model: near t = 0 its timesteps share conditions (arXiv 2306.11251)."),
    (
        "secant",
        "K(t, t′) = E‖ε(x_t, f(t)) − ε(x_t, f(t′))‖ / |t − t′|, with the same x_t at both times; ε is the predicted noise, or what is measured in its place.",
    ),
    ("peak", "The largest mean near t = 0."),
    ("DDPM", "A network that is told every timestep as it is (arXiv 2006.11239)."),
    ("NFE", "Evaluations of the network for one sample."),
    ("t̃", "Where sharing ends: from there on every timestep has its own condition (arXiv 2306.11251, section 5)."),
    (
        "K",
        "E‖ε(x_t, f(t)) − ε(x_t, f(t′))‖ / |t − t′|: how fast the predicted noise, or what is named in its place, changes from t to t′.",
    ),
    (
        "D",
        "E‖∂ε(x_t, f(t))/∂t‖: how fast the predicted noise, or what is named in its place, changes in time, exactly.",
    ),
];

/// Which words a page has explained.
#[derive(Default)]
pub(super) struct Glossary {
    used: Vec<usize>,
}

impl Glossary {
    /// The text as markup, with each word that the page has not explained yet explained at its first place.
    pub fn marked(&mut self, text: &str) -> String {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (term, (word, _)) in TERMS.iter().enumerate() {
            let Some(at) = place(text, word).filter(|_| !self.used.contains(&term)) else { continue };
            let overlaps =
                |(start, other): &(usize, usize)| at < start + TERMS[*other].0.len() && *start < at + word.len();
            if !found.iter().any(overlaps) {
                found.push((at, term));
            }
        }
        found.sort_unstable();
        let (mut markup, mut from) = (String::new(), 0);
        for (at, term) in found {
            let (word, meaning) = TERMS[term];
            markup += &escaped(&text[from..at]);
            markup += &format!(
                "<span class=\"term\" tabindex=\"0\" aria-describedby=\"word-{term}\">{}<span class=\"gloss\" role=\"tooltip\" \
                 id=\"word-{term}\">{}</span></span>",
                escaped(word),
                escaped(meaning)
            );
            from = at + word.len();
            self.used.push(term);
        }
        markup + &escaped(&text[from..])
    }

    /// All that were explained, for paper and for those who read on; nothing where none was.
    pub fn list(mut self) -> String {
        self.used.sort_unstable_by_key(|term| TERMS[*term].0.to_lowercase());
        let entry = |term: usize| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(TERMS[term].0), escaped(TERMS[term].1));
        let entries: String = self.used.into_iter().map(entry).collect();
        if entries.is_empty() {
            return entries;
        }
        format!("<section class=\"words\">\n<h2>Words</h2>\n<dl>\n{entries}</dl>\n</section>\n")
    }
}

/// Where a word stands as a word of its own.
fn place(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '\''));
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
        // A full stop behind a word ends a sentence, and one within a name does not.
        let next = text[at + word.len()..].chars().nth(1);
        let ends = after == Some('.') && next.is_none_or(char::is_whitespace);
        !is_part(before) && (ends || !is_part(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_explained_at_its_first_place_and_only_as_a_word() {
        let mut glossary = Glossary::default();
        let marked = glossary.marked("Kilo <K> peaks, DDPM.pt has K; it is singular.");
        assert!(marked.starts_with("Kilo &lt;<span class=\"term\""), "{marked}");
        assert_eq!(marked.matches("class=\"term\"").count(), 2, "{marked}");
        assert!(!marked.contains(">DDPM<"), "{marked}");
        assert!(!glossary.marked("K again").contains("term"));
        let list = glossary.list();
        assert!(list.contains("<dt>K</dt>") && list.contains("<dt>singular</dt>") && !list.contains("<dt>D</dt>"));
        assert_eq!(Glossary::default().list(), "");
    }

    #[test]
    fn an_unknown_cause_is_not_explained_as_an_unclear_slope() {
        assert!(!Glossary::default().marked("It is singular; the cause cannot be told.").contains("cannot be told<"));
        let marked = Glossary::default().marked("Whether it is singular cannot be told from these steps.");
        assert!(marked.contains(">cannot be told from these steps<span"), "{marked}");
    }

    #[test]
    fn longer_words_win_and_none_is_twice_in_the_list() {
        let marked = Glossary::default().marked("five sub-intervals, one sub-interval");
        assert_eq!(marked.matches("role=\"tooltip\"").count(), 2, "{marked}");
        for (i, (word, meaning)) in TERMS.iter().enumerate() {
            assert!(TERMS[i + 1..].iter().all(|(other, _)| other != word) && meaning.ends_with('.'), "{word}");
            assert!(
                TERMS[..i].iter().all(|(earlier, _)| earlier.len() >= word.len()),
                "{word} stands behind a shorter one"
            );
        }
    }
}
