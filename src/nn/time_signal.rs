//! The embedding of t on its way to the places where it enters a network, its sites.
//!
//! ∂y/∂t is linear in the tangents that enter at the sites, ∂y/∂t = Σᵢ Jᵢ ėᵢ: with the tangent of one site alone, a forward
//! pass gives the part of ∂y/∂t that this site contributes. A site is called as the parameters of its layer are, such as
//! `down_blocks.0.resnets.1`.

use crate::dual::Dual;
use std::cell::RefCell;

/// At which sites tangents of t enter.
#[derive(Debug)]
pub enum Sites {
    /// At all of them.
    All,
    /// At this one.
    Only(String),
    /// At all of them, and their names are noted in the order of the forward pass.
    Noted(RefCell<Vec<String>>),
    /// At none; there, the value is moved along the tangent by so much.
    #[cfg(test)]
    Moved(String, f64),
}

impl Sites {
    /// All of them, to be noted.
    pub fn noted() -> Self {
        Sites::Noted(RefCell::default())
    }

    /// The names that were noted.
    pub fn into_names(self) -> Vec<String> {
        match self {
            Sites::Noted(names) => names.into_inner(),
            _ => Vec::new(),
        }
    }

    /// Whether tangents enter at `site`.
    pub fn enter_at(&self, site: &str) -> bool {
        match self {
            Sites::All => true,
            Sites::Only(one) => one == site,
            Sites::Noted(names) => {
                let mut names = names.borrow_mut();
                if !names.iter().any(|name| name == site) {
                    names.push(site.into());
                }
                true
            }
            #[cfg(test)]
            Sites::Moved(..) => false,
        }
    }
}

/// An embedding of t [B, E] that gives its tangent to some of the sites only.
#[derive(Debug)]
pub struct TimeSignal<'a> {
    embedding: Dual,
    /// The same without its tangent; `None` where no site has to do without.
    still: Option<Dual>,
    sites: &'a Sites,
    #[cfg(test)]
    moved: Option<Dual>,
}

impl<'a> TimeSignal<'a> {
    /// The embedding on its way to these sites.
    pub fn new(embedding: Dual, sites: &'a Sites) -> Self {
        let selects = embedding.tangent.is_some() && !matches!(sites, Sites::All | Sites::Noted(_));
        TimeSignal {
            still: selects.then(|| Dual::constant(embedding.value.shallow_clone())),
            #[cfg(test)]
            moved: moved(&embedding, sites),
            embedding,
            sites,
        }
    }

    /// What enters at `site`.
    pub fn at(&self, site: &str) -> &Dual {
        #[cfg(test)]
        if let (Sites::Moved(one, _), Some(moved)) = (self.sites, &self.moved)
            && one == site
        {
            return moved;
        }
        match (&self.still, self.sites.enter_at(site)) {
            (Some(still), false) => still,
            _ => &self.embedding,
        }
    }
}

/// e + h ė, without a tangent.
#[cfg(test)]
fn moved(embedding: &Dual, sites: &Sites) -> Option<Dual> {
    let Sites::Moved(_, by) = sites else { return None };
    Some(Dual::constant(&embedding.value + *by * embedding.tangent.as_ref()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn embedding() -> Dual {
        let ones = || Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
        Dual::new(ones(), ones())
    }

    #[test]
    fn only_the_chosen_site_gets_the_tangent() {
        let sites = Sites::Only("b".into());
        let signal = TimeSignal::new(embedding(), &sites);
        assert!(signal.at("b").tangent.is_some());
        assert!(signal.at("a").tangent.is_none() && signal.at("b.0").tangent.is_none());
        assert!(signal.at("a").value.equal(&signal.at("b").value));
    }

    #[test]
    fn names_are_noted_once_and_in_order() {
        let sites = Sites::noted();
        let signal = TimeSignal::new(embedding(), &sites);
        for site in ["b", "a", "b"] {
            assert!(signal.at(site).tangent.is_some());
        }
        assert_eq!(sites.into_names(), ["b", "a"]);
    }

    #[test]
    fn nothing_is_made_where_nothing_is_chosen() {
        let signal = TimeSignal::new(embedding(), &Sites::All);
        assert!(signal.still.is_none());
        assert_eq!(signal.at("a").value.data_ptr(), signal.embedding.value.data_ptr());
        let sites = Sites::Only("b".into());
        assert!(TimeSignal::new(Dual::constant(Tensor::ones([1], (Kind::Float, Device::Cpu))), &sites).still.is_none());
    }
}
