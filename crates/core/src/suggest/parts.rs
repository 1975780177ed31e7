//! What the parts of ∂ε/∂t say about a remedy: at which sites to share, and whether a lower frequency would do.

use crate::attribution::PartKind;
use crate::report::{ModelReport, NearZeroShare, part_name, percent};

/// What a few sites should carry to be worth treating alone.
const MOST: f64 = 0.8;
/// Sites that are named.
const NAMED: usize = 5;
/// Where negative shares come to less than this, no part can be blamed alone.
const CANCELLING: f64 = -0.5;

/// Sentences about a model whose ∂ε/∂t was told apart; `None` where it was not.
pub(super) fn remedy(model: &ModelReport) -> Option<String> {
    let sites = model.near_zero_shares(PartKind::Site).map(|(shares, until)| of_sites(&shares, until));
    let frequencies = model.near_zero_shares(PartKind::Frequency).map(|(shares, until)| {
        let fastest = model.attribution.as_ref().and_then(|found| {
            let waves = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
            found.parts(PartKind::Frequency).into_iter().find(waves)
        });
        of_frequencies(&shares, fastest, until)
    });
    let said: Vec<String> = sites.into_iter().chain(frequencies).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// The fewest sites, largest first, that carry most of it.
fn of_sites(shares: &[NearZeroShare], until: f64) -> String {
    let mut carried = 0.0;
    let needed = shares.iter().take_while(|part| {
        let goes_on = carried < MOST;
        carried += if goes_on { part.share } else { 0.0 };
        goes_on
    });
    let needed: Vec<&NearZeroShare> = needed.collect();
    let (count, all) = (needed.len(), shares.len());
    if 2 * count > all && all > 2 {
        return format!(
            "∂ε/∂t below t = {until} is spread over the network: {} of it takes {count} of {all} sites, so that sharing at \
             single sites would not do.",
            percent(carried)
        );
    }
    let names: Vec<String> =
        needed.iter().take(NAMED).map(|part| format!("{} ({})", part.part, percent(part.share))).collect();
    let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
    format!(
        "{count} of {all} sites carry {} of ∂ε/∂t below t = {until}: {}{more}. Sharing timesteps at these alone takes most of \
         it away, and the others keep t.",
        percent(carried),
        names.join(", ")
    )
}

fn of_frequencies(shares: &[NearZeroShare], fastest: Option<&str>, until: f64) -> String {
    let negative: f64 = shares.iter().map(|part| part.share.min(0.0)).sum();
    if negative < CANCELLING {
        return format!(
            "The frequencies of the time embedding work against each other below t = {until} (negative shares come to {}), so \
             that lowering one of them cannot be expected to help.",
            percent(negative)
        );
    }
    let name = |part: &str| part_name(PartKind::Frequency, part);
    let share = |part: &str| shares.iter().find(|other| other.part == part).map_or(0.0, |part| part.share);
    let (Some(fastest), Some(largest)) = (fastest, shares.first()) else {
        return "The time embedding has no frequencies.".into();
    };
    let of_fastest = share(fastest);
    if of_fastest >= 0.5 {
        return format!(
            "The fastest frequency of the time embedding, {}, makes {}: one that begins at a lower frequency would take most \
             of it away.",
            name(fastest),
            percent(of_fastest)
        );
    }
    let other = if largest.part == fastest {
        String::new()
    } else {
        format!("; the largest part is {} with {}", name(&largest.part), percent(largest.share))
    };
    format!(
        "Lowering the fastest frequency of the time embedding does not suffice: {} makes {}{other}.",
        name(fastest),
        percent(of_fastest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(values: &[(&str, f64)]) -> Vec<NearZeroShare> {
        values.iter().map(|(part, share)| NearZeroShare { part: (*part).into(), share: *share }).collect()
    }

    #[test]
    fn few_sites_are_named_and_many_are_not() {
        let few = of_sites(&shares(&[("a", 0.7), ("b", 0.2), ("c", 0.05), ("d", 0.05), ("e", 0.0)]), 100.0);
        assert!(few.starts_with("2 of 5 sites carry 90 %") && few.contains("a (70 %), b (20 %)"), "{few}");
        let many = of_sites(&shares(&[("a", 0.25), ("b", 0.25), ("c", 0.25), ("d", 0.25)]), 100.0);
        assert!(many.contains("spread over the network") && many.contains("4 of 4"), "{many}");
    }

    #[test]
    fn the_fastest_frequency_is_judged() {
        let fast = of_frequencies(&shares(&[("1", 0.6), ("0.5", 0.4)]), Some("1"), 100.0);
        assert!(fast.contains("ω = 1, makes 60 %"), "{fast}");
        let slow = of_frequencies(&shares(&[("0.5", 0.9), ("1", 0.1)]), Some("1"), 100.0);
        assert!(slow.contains("does not suffice: ω = 1 makes 10 %; the largest part is ω = 0.5"), "{slow}");
        let wild = of_frequencies(&shares(&[("1", 5.0), ("0.5", -4.0)]), Some("1"), 100.0);
        assert!(wild.contains("work against each other") && wild.contains("-400 %"), "{wild}");
    }
}
