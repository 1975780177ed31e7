//! Whether a module is a function of (x, t): the same answer to the same question, a row's answer whatever else is in the
//! batch, and another answer to another t.

use super::TorchScript;
use super::calling::{Calling, TimeShape};
use super::code::Code;
use crate::error::{Doing, Error, Result};
use crate::network::{Condition, Probe};
use tch::{Device, Kind, TchError, Tensor};

/// Largest relative difference that rounding explains. float32 and float64 keep 1e-7 or better, and kernels that take another
/// batch size add their terms in another order: 1e-4 leaves room for some hundred layers. Accelerators may multiply float32
/// in TF32, which keeps 1e-3, and half precision keeps 1e-3 to 8e-3 per operation. Dropout and batch statistics are off by
/// tenths.
fn tolerance(kind: Kind, device: Device) -> f64 {
    match (kind, device) {
        (Kind::Half | Kind::BFloat16, _) => 0.05,
        (Kind::Double, _) | (_, Device::Cpu) => 1e-4,
        _ => 0.01,
    }
}

impl TorchScript {
    /// Finds out how the module is called, and refuses what is no function of (x, t).
    pub(super) fn check(&mut self, probe: &Probe) -> Result<()> {
        let &Probe { sample_shape, times, condition, device, kind, beside, .. } = probe;
        let (x, full) = self.example(sample_shape, device, kind)?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let at = |t: f64| Tensor::f_full([2], t, (time_kind, device)).doing("probing");
        let [early, late] = [at(times[0])?, at(times[1])?];
        let given = [&x, &early].map(Tensor::copy);
        let first = self.find_calling(&x, &early, condition, device)?;
        if ![&x, &early].into_iter().zip(&given).all(|(now, before)| now.equal(before)) {
            let next = "Export a module that works on copies, such as f(x.clone(), t.clone()).";
            return Err(Error::file(&self.path, "the module changes its inputs in place", next));
        }
        if probe.answers_x {
            self.refuse_other_width(&first, &full, beside)?;
        }
        let off = relative(&self.answer(&x, &early, condition)?, &first)?;
        if off > tolerance(self.calling.own.unwrap_or(kind), device) {
            return Err(self.not_repeatable(off, &x, &early, condition));
        }
        let first = self.independent(first, &x, &early, condition)?;
        let second = self.answer(&x, &late, condition)?;
        let still = first.size() == second.size() && first.equal(&second);
        self.stands_still = still && self.symbols.is_some();
        if still && !self.stands_still {
            return Err(Error::file(
                &self.path,
                format!("its output does not depend on t: it is the same at t = {} and t = {}", times[0], times[1]),
                "Was the module traced with t as a Python number? Then t is baked in as a constant: trace it again with \
                 t as a tensor, such as torch.jit.trace(f, (x, torch.tensor([0., 500.]))).",
            ));
        }
        self.time_per_row = self.calling.shape == TimeShape::Rows
            && (still || self.tells_rows_apart(&x, &[early, late], [&first, &second], condition));
        Ok(())
    }

    fn answer(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<Tensor> {
        self.call(x, t, condition).map_err(|message| self.explain(&message, &x.size(), x.device()))
    }

    /// The answer `first` to two rows, if its first row is what that row alone is answered with; else that of one t for
    /// both, where a module that was traced with it mixes the two.
    fn independent(&mut self, first: Tensor, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<Tensor> {
        let row = |tensor: &Tensor| tensor.f_narrow(0, 0, 1).doing("probing");
        let alone = (row(x)?, row(t)?, first_row(condition)?);
        let (found, kind) = (self.calling, self.calling.own.unwrap_or(x.kind()));
        let by = |module: &Self, both: &Tensor| -> Result<f64> {
            relative(&module.answer(&alone.0, &alone.1, &alone.2)?, &row(both)?)
        };
        let off = by(self, &first)?;
        if off <= tolerance(kind, x.device()) {
            return Ok(first);
        }
        let others = [TimeShape::One, TimeShape::Scalar].into_iter().filter(|_| found.shape == TimeShape::Rows);
        for shape in others {
            self.calling = Calling { shape, ..found };
            if let Ok(both) = self.call(x, t, condition)
                && by(self, &both).is_ok_and(|off| off <= tolerance(kind, x.device()))
            {
                return Ok(both);
            }
        }
        if off.is_infinite() {
            let sizes = [x, &first].map(|tensor| format!("{:?}", tensor.size()));
            return Err(self.not_by_row(sizes));
        }
        Err(self.rows_interact(off))
    }

    /// Calls the module in every way until it answers; where it never does, the first complaint counts.
    fn find_calling(&mut self, x: &Tensor, t: &Tensor, condition: &Condition, device: Device) -> Result<Tensor> {
        // float32 is the default, which gives way to the file's dtype; another dtype was asked for.
        let own = self.saved_kind.filter(|own| *own != x.kind() && x.kind() == Kind::Float);
        let is_half = |own: &Kind| matches!(own, Kind::Half | Kind::BFloat16);
        // A trace in half precision calls for it: in another dtype it fails, or goes on with parts that are rounded.
        let casts = own.filter(is_half).is_some_and(|own| Code::read(&self.path).casts_to(own));
        let plain = if casts { Err(String::new()) } else { self.try_callings(None, x, t, condition) };
        let complaint = match plain {
            Ok(output) => return Ok(output),
            Err(complaint) => complaint,
        };
        let complaint = match own {
            None => complaint,
            Some(own) => {
                self.module.to(device, own, false);
                match self.try_callings(Some(own), x, t, condition) {
                    Ok(output) => return Ok(output),
                    Err(complaint) => {
                        self.module.to(device, x.kind(), false);
                        complaint
                    }
                }
            }
        };
        self.calling = Calling::PLAIN;
        let one = |tensor: &Tensor| tensor.f_narrow(0, 0, 1).ok();
        let alone = one(x).zip(one(t)).zip(first_row(condition).ok());
        if alone.is_some_and(|((x, t), condition)| self.call(&x, &t, &condition).is_ok()) {
            return Err(Error::file(
                &self.path,
                format!("the module takes one sample at a time, and not two: its batch size is baked in ({complaint})"),
                "Trace it again with a batch of 2 or more, and take sizes from x.shape, not from Python numbers.",
            ));
        }
        Err(self.explain(&complaint, &x.size(), device))
    }

    fn try_callings(
        &mut self,
        own: Option<Kind>,
        x: &Tensor,
        t: &Tensor,
        condition: &Condition,
    ) -> std::result::Result<Tensor, String> {
        let mut complaint = None;
        for calling in Calling::all(own, self.signature.has_numbers()) {
            self.calling = calling;
            match self.call(x, t, condition) {
                Ok(output) => return Ok(output),
                Err(message) => {
                    complaint.get_or_insert(message);
                }
            }
        }
        Err(complaint.unwrap_or_default())
    }

    /// A module whose output has fewer channels than its x, without those that are known to lie `beside` it, takes a part of x
    /// for a condition.
    fn refuse_other_width(&self, output: &Tensor, x: &[i64], beside: i64) -> Result<()> {
        match (x, &output.size()[..]) {
            ([_, inputs, rest @ ..], [_, outputs, others @ ..]) if rest == others && *outputs < inputs - beside => {
                Err(super::complaint::conditioned(&self.path, *inputs, *outputs))
            }
            _ => Ok(()),
        }
    }

    fn not_repeatable(&self, off: f64, x: &Tensor, t: &Tensor, condition: &Condition) -> Error {
        let seeded = || {
            tch::manual_seed(0);
            self.call(x, t, condition).ok()
        };
        let random = seeded().zip(seeded()).and_then(|(a, b)| relative(&a, &b).ok()).is_some_and(|off| off == 0.0);
        let code = Code::read(&self.path);
        let why = match (random, code.draws()) {
            (true, Some(name)) => format!("its code draws random numbers ({name})"),
            (true, None) => "it draws random numbers".into(),
            (false, _) => "it keeps something from one call to the next".into(),
        };
        let problem = format!(
            "called twice with the same x and t it gives answers that differ by {:.0} % of the largest: {why}, so it is no \
             function of (x, t)",
            100.0 * off
        );
        let next = if random {
            "Dropout does this in a module that was traced in training mode. Call model.eval() before torch.jit.trace or \
             torch.jit.script, and save it again."
        } else {
            "Export a module whose output depends on its inputs alone."
        };
        Error::file(&self.path, problem, next)
    }

    fn not_by_row(&self, [x, output]: [String; 2]) -> Error {
        Error::file(
            &self.path,
            format!(
                "it answers two samples, x of shape {x}, with an output of shape {output}, which has no row for each of them"
            ),
            "If x should look otherwise, say so with --shape, such as --shape 8,2 for sequences of 8 times 2 numbers: a file \
             [N, H, W] is taken for grey images.",
        )
    }

    fn rows_interact(&self, off: f64) -> Error {
        let code = Code::read(&self.path);
        let why = if code.has("batch_norm(") {
            "its code has batch normalisation, which averages over the batch where a module is traced in training mode"
        } else {
            "something in it works across the batch"
        };
        let problem = format!(
            "a sample's answer depends on the other samples of its batch, by {:.1} % of the largest: {why}",
            100.0 * off
        );
        let next = "Call model.eval() before torch.jit.trace or torch.jit.script, and save it again; each row must be \
                    answered by itself.";
        Error::file(&self.path, problem, next)
    }

    /// Whether a batch with two times gives the row that each time gives by itself.
    fn tells_rows_apart(&self, x: &Tensor, times: &[Tensor; 2], answers: [&Tensor; 2], condition: &Condition) -> bool {
        let [first, second] = answers;
        let rows = |parts: [&Tensor; 2]| Tensor::f_stack(&[parts[0].f_get(0)?, parts[1].f_get(1)?], 0);
        let mixed = rows([&times[0], &times[1]]).ok().and_then(|t| self.call(x, &t, condition).ok());
        let expected = rows([first, second]).ok();
        // Rounding at most, also in bfloat16; a wrong t would be far off.
        mixed
            .zip(expected)
            .and_then(|(mixed, expected)| relative(&mixed, &expected).ok())
            .is_some_and(|off| off <= 0.02)
    }
}

/// max |a − b| / max |b| in float64, over what is finite; infinite where the shapes differ.
fn relative(a: &Tensor, b: &Tensor) -> Result<f64> {
    if a.size() != b.size() {
        return Ok(f64::INFINITY);
    }
    let largest = |x: &Tensor| -> std::result::Result<f64, TchError> {
        let finite = x.f_to_kind(Kind::Double)?.f_nan_to_num(0.0, 0.0, 0.0)?;
        if finite.numel() == 0 { Ok(0.0) } else { finite.f_abs()?.f_max()?.f_double_value(&[]) }
    };
    let difference = a.f_sub(b).doing("comparing answers")?;
    let (off, scale) = (largest(&difference).doing("comparing answers")?, largest(b).doing("comparing answers")?);
    Ok(if off == 0.0 { 0.0 } else { off / scale.max(f64::MIN_POSITIVE) })
}

/// The condition of the first row alone.
fn first_row(condition: &Condition) -> Result<Condition> {
    let row = |tensor: &Tensor| tensor.f_narrow(0, 0, 1).doing("probing");
    condition.try_map(row)
}
