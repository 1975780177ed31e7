//! Against enumeration in numpy, with matrix exponentials of the generators and central differences: numbers to 12 digits.

use super::*;
use crate::random::{Purpose, fill_uniform, stream};

/// Bits of 0, 7 and 31 with the weights 5, 3 and 2.
fn sparse() -> Exact {
    bits([(0, 5), (7, 3), (31, 2)].into_iter())
}

/// All states of five bits, with weights 1 + (x mod 5).
fn full() -> Exact {
    bits((0..32).map(|x| (x, 1 + x % 5)))
}

fn bits(weights: impl Iterator<Item = (usize, usize)>) -> Exact {
    let row = |x: usize| (0..5).map(|i| (x >> i & 1) as f32).collect::<Vec<f32>>();
    let rows: Vec<Vec<f32>> = weights.flat_map(|(x, count)| std::iter::repeat_n(row(x), count)).collect();
    Exact::new(Graph::Flip, rows.iter().map(Vec::as_slice), 5).unwrap()
}

/// What `--schedule` takes.
fn parse(text: &str) -> Result<Arc<Jump>> {
    match text.parse()? {
        ProcessSpec::Jump(jump) => Ok(jump),
        other => panic!("{other}"),
    }
}

fn close(got: f64, expected: f64, what: &str) {
    // Twelve digits are given.
    assert!((got - expected).abs() <= 1e-10 * expected.abs(), "{what}: {got} instead of {expected}");
}

/// σ, sup R, E R², the median of R, max |∂ ln R/∂σ|, E|∂R/∂σ| and the mean speed of the jump law.
const SPARSE: [[f64; 7]; 7] = [
    [1e-4, 20002.5000417, 50010.6010807, 0.000633383328999, 10000.7892745, 49997.5960418, 0.197034718595],
    [1e-3, 2002.50041854, 5010.61080994, 0.00633832898611, 1000.78747753, 4997.56052411, 0.20047578021],
    [0.01, 202.504351422, 510.708398093, 0.0638288607596, 100.769111781, 497.215661399, 0.236001539837],
    [0.1, 22.5579085476, 61.7169340692, 0.791223634544, 10.5484751728, 44.6641769785, 0.61364172607],
    [0.3, 9.40338053653, 30.8034880665, 5.14014185041, 3.4178348011, 9.47312730904, 0.778928303852],
    [1.0, 5.44330485474, 25.0750965368, 5.14925888291, 0.421694129162, 0.653633512546, 0.0989256504097],
    [2.0, 5.04601021277, 25.0009739038, 5.00268460161, 0.0237527178608, 0.0492836102272, 0.0100735004075],
];
const FULL: [[f64; 7]; 7] = [
    [1e-4, 20.9622746141, 39.4956712143, 3.75059358362, 17.9612747713, 26.7405934656, 1.30630433865],
    [1e-3, 20.6293326175, 39.2065856805, 3.75592088931, 17.6193483503, 26.3914163127, 1.29496475963],
    [0.01, 17.8453225992, 36.7188601223, 3.80774070881, 14.7469115929, 23.3150876183, 1.19065752166],
    [0.1, 8.4923058733, 27.6531295171, 4.72594233019, 4.65874635393, 9.54944971247, 0.612697729628],
    [0.3, 5.75523835892, 25.241200263, 5.05300954871, 0.877223234822, 2.29276539984, 0.204145647317],
    [1.0, 5.02882151572, 25.0007134419, 5.01054507896, 0.0443107639909, 0.0849128046824, 0.0105912936329],
    [2.0, 5.00339520784, 25.0000034342, 5.00003514725, 0.0015139722493, 0.00340809657157, 0.000638558533219],
];

#[test]
fn bits_have_the_rates_and_jump_laws_of_enumeration() {
    for (law, rows) in [(sparse(), SPARSE), (full(), FULL)] {
        for [sigma, sup, square, median, log_rate, rate, speed] in rows {
            let at = law.at(sigma);
            let found = at.expectation(|x| at.rates[x]);
            let what = |name: &str| format!("{name} at σ = {sigma}");
            close(found.sup, sup, &what("sup R"));
            close(found.mean, 5.0, &what("E R"));
            close(found.mean_square, square, &what("E R²"));
            close(found.quantiles[1], median, &what("median"));
            close(at.expectation(|x| at.log_rate_rate(x).abs()).sup, log_rate, &what("max |∂ ln R|"));
            close(at.expectation(|x| (at.rates[x] * at.log_rate_rate(x)).abs()).mean, rate, &what("E|∂R|"));
            close(at.expectation(|x| at.jump_law_speed(x)).mean, speed, &what("E TV speed"));
            let total: f64 = at.jump_law(9).iter().sum();
            close(total, 1.0, &what("Σ p"));
        }
    }
}

/// The jump law's own tangent, entry by entry, is what its differences say.
#[test]
fn the_jump_law_moves_as_its_differences_do() {
    let law = sparse();
    let (sigma, h) = (0.2, 1e-5);
    let (before, at, after) = (law.at(sigma - h), law.at(sigma), law.at(sigma + h));
    for state in [0, 4, 25, 31] {
        let change = before.jump_law(state).into_iter().zip(after.jump_law(state)).map(|(a, b)| (b - a) / (2.0 * h));
        for (expected, got) in change.zip(at.jump_law_rate(state)) {
            // Differences of numbers below 1 keep 1e-16/h, and their own error is h².
            assert!((expected - got).abs() < 1e-8, "{state}: {expected} {got}");
        }
    }
}

#[test]
fn masking_has_one_rate_whatever_the_data() {
    let graph = Graph::Absorb { symbols: 3 };
    let mut rows = Vec::new();
    for number in 0..27usize {
        let symbols = [number / 9, number / 3 % 3, number % 3];
        let weight = 1 + (symbols[0] + 2 * symbols[1] + 3 * symbols[2]) % 4;
        rows.extend(std::iter::repeat_n(symbols.map(|symbol| symbol as f32), weight));
    }
    let law = Exact::new(graph, rows.iter().map(|row| &row[..]), 3).unwrap();
    // σ, E R and sup R; then the ratios of (mask, mask, 1) at the first position.
    for ([sigma, mean, sup], ratios) in [
        ([0.01, 2.97014950125, 298.502499996], [43.2612318835, 21.6306159417, 34.6089855068]),
        ([0.1, 2.71451225411, 28.5249958343], [4.13405736729, 2.06702868365, 3.30724589383]),
        ([1.0, 1.10363832351, 1.74593012061], [0.253033350813, 0.126516675406, 0.20242668065]),
        ([3.0, 0.149361205104, 0.157187089474], [0.0227807376049, 0.0113903688024, 0.0182245900839]),
    ] {
        let at = law.at(sigma);
        let found = at.expectation(|x| at.rates[x]);
        close(found.mean, mean, "E R");
        close(found.mean, graph.mean_rate(3, sigma), "L e^−σ");
        close(found.sup, sup, "sup R");
        for (state, rate) in at.rates.iter().enumerate() {
            let masked = (0..3).filter(|position| law.symbol(state, *position) == 3).count();
            // Σ_a r_a (e^σ − 1) = 1 at each masked position.
            assert!((rate * sigma.exp_m1() - masked as f64).abs() < 1e-12, "{state}: {rate}");
            let slope = if masked == 0 { 0.0 } else { -1.0 / -(-sigma).exp_m1() };
            assert!((at.log_rate_rate(state) - slope).abs() <= 1e-10 * slope.abs(), "{state} {slope}");
        }
        let state = law.state(&[3.0, 3.0, 1.0]).unwrap();
        let jumps = at.jump_law(state);
        (0..3).for_each(|a| close(jumps[a] * at.rates[state], ratios[a], "r_a"));
        assert!(jumps[6..].iter().all(|p| *p == 0.0), "a position that is not masked stays: {jumps:?}");
    }
}

#[test]
fn three_symbols_have_the_rates_of_enumeration() {
    let graph = Graph::Uniform { symbols: 3 };
    let rows: Vec<[f32; 2]> = [([0.0, 0.0], 6), ([1.0, 1.0], 3), ([1.0, 2.0], 1)]
        .into_iter()
        .flat_map(|(row, count)| std::iter::repeat_n(row, count))
        .collect();
    let law = Exact::new(graph, rows.iter().map(|row| &row[..]), 2).unwrap();
    // σ, then R of (0,0), (0,1), (1,2) and (2,2), the last of which is the supremum.
    for [sigma, a, b, c, sup] in [
        [0.001, 0.000592740680341, 1000.20402026, 1.00111018512, 1003.1589942],
        [0.01, 0.00594067994997, 100.206872005, 1.01101846298, 103.09186582],
        [0.1, 0.0606760758418, 10.2356415991, 1.1018489242, 12.5693312304],
        [1.0, 0.648986049376, 1.53054508722, 1.42029263189, 2.26213970003],
    ] {
        let at = law.at(sigma);
        for (state, expected) in [([0.0, 0.0], a), ([0.0, 1.0], b), ([1.0, 2.0], c), ([2.0, 2.0], sup)] {
            close(at.rates[law.state(&state).unwrap()], expected, "R");
        }
        let found = at.expectation(|x| at.rates[x]);
        close(found.sup, sup, "sup R");
        close(found.mean, 4.0 / 3.0, "E R = L(V−1)/V");
    }
}

/// ∫ sup R dσ, on grids that a measurement would have.
#[test]
fn uniformization_takes_the_integral_of_the_bound() {
    for (law, ranges) in [
        (sparse(), [(0.001, 0.01, 4.62769142849), (0.01, 0.1, 4.83279313319), (0.1, 1.0, 7.30488877568)]),
        (full(), [(0.001, 0.01, 0.172462264572), (0.01, 0.1, 1.0565726944), (0.1, 1.0, 4.96886685614)]),
    ] {
        for (low, high, expected) in ranges {
            let sigma = |i: i32| low * f64::powf(high / low, f64::from(i) / 60.0);
            let sup = |sigma: f64| {
                let at = law.at(sigma);
                at.expectation(|x| at.rates[x]).sup
            };
            let curve: Vec<(f64, f64)> = (0..=60).map(|i| (sigma(i), sup(sigma(i)))).collect();
            // The bend of ln R over a sixtieth of a decade.
            assert!((integral(&curve) / expected - 1.0).abs() < 2e-4, "{low}: {}", integral(&curve));
        }
    }
    // A power law is exact on any grid, R = 3/σ too.
    assert!((integral(&[(0.01, 300.0), (1.0, 3.0)]) - 3.0 * 100f64.ln()).abs() < 1e-12);
    assert!((integral(&[(1.0, 1.0), (4.0, 2.0)]) - (8.0 - 1.0) / 1.5).abs() < 1e-12);
    assert_eq!(integral(&[(0.0, 0.0), (2.0, 1.0)]), 1.0);
}

/// Uniformization itself: in each of 240 cells of σ a Poisson number of proposals at the cell's bound, each of them a jump with
/// probability R/bound. As many proposals as the integral of the bounds says, and the samples of the law.
#[test]
fn a_uniformization_sampler_takes_the_expected_steps_and_samples_the_law() {
    let (law, low, high, chains) = (sparse(), 0.01, 2.0, 2000);
    let edges: Vec<f64> = (0..=240).map(|i| high * f64::powf(low / high, f64::from(i) / 240.0)).collect();
    let sup = |sigma: f64| {
        let at = law.at(sigma);
        at.expectation(|x| at.rates[x]).sup
    };
    let bound = |cell: &[f64]| {
        let inside = (0..5).map(|k| cell[1] + (cell[0] - cell[1]) * f64::from(k) / 4.0);
        inside.map(sup).fold(0.0, f64::max)
    };
    let bounds: Vec<f64> = edges.windows(2).map(bound).collect();
    let expected: f64 = edges.windows(2).zip(&bounds).map(|(cell, bound)| (cell[0] - cell[1]) * bound).sum();
    close(expected, 17.4093387871, "the integral of the bounds");
    let mut rng = stream(11, Purpose::Noise, 0.0, 0);
    let mut draw = move || rand::RngExt::random::<f64>(&mut rng);
    let chosen = |weights: &[f64], place: f64| {
        let mut below = 0.0;
        weights.iter().position(|weight| {
            below += weight;
            place < below
        })
    };
    let (start, mut counts) = (law.at(high).q, [0.0; 32]);
    let (mut steps, mut squares) = (0.0, 0.0);
    for _ in 0..chains {
        let (mut x, mut taken, mut cell, mut sigma) = (chosen(&start, draw()).unwrap_or(31), 0.0, 0, high);
        while cell < bounds.len() {
            // Waiting times of a Poisson process of rate `bound`, downwards in σ, anew in every cell.
            sigma += draw().max(1e-300).ln() / bounds[cell];
            if sigma < edges[cell + 1] {
                (sigma, cell) = (edges[cell + 1], cell + 1);
                continue;
            }
            taken += 1.0;
            let at = law.at(sigma);
            let rates: Vec<f64> = at.jump_law(x).iter().map(|p| p * at.rates[x] / bounds[cell]).collect();
            if let Some(jump) = chosen(&rates, draw()) {
                // Position and symbol of the jump.
                x = x & !(1 << (jump / 2)) | (jump % 2) << (jump / 2);
            }
        }
        (steps, squares) = (steps + taken, squares + taken * taken);
        counts[x] += 1.0;
    }
    let (n, mean) = (f64::from(chains), steps / f64::from(chains));
    let error = ((squares / n - mean * mean) / n).sqrt();
    assert!((mean - expected).abs() < 4.0 * error, "{mean} ± {error} steps instead of {expected}");
    let q = law.at(low).q;
    let likely: Vec<usize> = (0..32).filter(|x| q[*x] * n > 5.0).collect();
    let chi: f64 = likely.iter().map(|&x| (counts[x] - n * q[x]).powi(2) / (n * q[x])).sum();
    // χ² of some 15 states exceeds 45 once in 10⁴.
    assert!((5..=20).contains(&likely.len()) && chi < 45.0, "{chi} over {} states", likely.len());
}

#[test]
fn jumps_are_as_often_as_the_kernel_says_and_go_everywhere_alike() {
    for (graph, clean) in [(Graph::Flip, 1), (Graph::Uniform { symbols: 4 }, 2), (Graph::Absorb { symbols: 4 }, 0)] {
        let (kernel, n) = (graph.kernel(0.5), 200_000);
        let mut numbers = vec![0.0f32; n];
        fill_uniform(&mut stream(1, Purpose::Noise, 0.0, 0), &mut numbers);
        let mut counts = vec![0.0; graph.states()];
        numbers.iter().for_each(|&number| counts[graph.jump(clean, &kernel, f64::from(number))] += 1.0 / n as f64);
        let others = (graph.symbols() - 1) as f64;
        for (symbol, got) in counts.iter().enumerate() {
            let expected = match graph.mask() {
                _ if symbol == clean => kernel.stays,
                Some(mask) => f64::from(u8::from(symbol == mask)) * kernel.jumps,
                None => kernel.jumps / others,
            };
            // Five standard deviations.
            assert!(
                (got - expected).abs() <= 5.0 * (expected * (1.0 - expected) / n as f64).sqrt(),
                "{graph:?} {symbol}"
            );
        }
    }
    // Half of the way to (1 + e^−2σ)/2.
    assert!((Graph::Flip.kernel(0.3).stays - 0.5 * (1.0 + (-0.6f64).exp())).abs() < 1e-15);
    assert!((Graph::Uniform { symbols: 2 }.kernel(0.6).stays - Graph::Flip.kernel(0.3).stays).abs() < 1e-15);
}

#[test]
fn the_number_of_jumps_is_known_on_average() {
    let jump = parse("uniform:symbols=5").unwrap();
    let (n, t) = (20_000, 120.0);
    let (mut first, mut second) = (0.0, 0.0);
    for sample in 0..n {
        let mut numbers = [0.0f32; 12];
        fill_uniform(&mut stream(3, Purpose::Noise, t, sample), &mut numbers);
        let [off, square, none] = jump.covariates(&numbers, t);
        (first, second) = (first + off / n as f64, second + square / n as f64);
        assert_eq!(none, 0.0);
    }
    // Jumps of 12 positions at 0.096 have a standard deviation of 0.085; its square has one of 0.01.
    assert!(first.abs() < 5.0 * 0.085 / 141.0 && second.abs() < 5.0 * 0.012 / 141.0, "{first} {second}");
}

#[test]
fn noise_is_that_of_sedd() {
    let jump = parse("absorb:symbols=50257").unwrap();
    assert_eq!((jump.graph.states(), jump.timesteps, jump.graph.mask()), (50258, 1000, Some(50257)));
    // 1 − e^−σ = (1 − eps) u.
    let u = 0.25;
    assert!((-(-jump.sigma(249.0)).exp_m1() - 0.999 * u).abs() < 1e-15);
    let geometric = parse("flip:noise=geometric,min=1e-3,max=20,timesteps=100").unwrap();
    assert!((geometric.sigma(99.0) - 20.0).abs() < 1e-12 && (geometric.sigma(-1.0) - 1e-3).abs() < 1e-18);
    for jump in [jump, geometric] {
        let (t, h) = (30.3, 1e-4);
        for axis in [Axis::Step, Axis::Unit, Axis::Sigma] {
            let at = |t: f64| jump.coordinate(axis, t).unwrap();
            let slope = (at(t + h) - at(t - h)) / (2.0 * h);
            assert!((jump.coordinate_rate(axis, t).unwrap() / slope - 1.0).abs() < 1e-6, "{axis} {slope}");
        }
        assert_eq!(jump.coordinate(Axis::LogSnr, t), None);
    }
}

#[test]
fn nonsense_is_refused_with_what_is_allowed() {
    for (text, says) in [
        ("uniform", "symbols"),
        ("uniform:symbols=1", "from 2 to"),
        ("absorb:symbols=a", "from 2 to"),
        ("flip:symbols=2", "takes timesteps"),
        ("flip:noise=cosine", "log-linear or geometric"),
        ("flip:eps=2", "between 0 and 1"),
        ("flip:min=1", "other noise"),
        ("flip:noise=geometric,eps=1e-3", "other noise"),
        ("flip:noise=geometric,min=2,max=1", "below max"),
        ("flip:timesteps=1", "whole number from 2"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn too_many_states_and_symbols_that_do_not_exist_are_refused() {
    let rows = |row: &[f32]| vec![row.to_vec()];
    let exact = |graph, rows: &[Vec<f32>], positions| Exact::new(graph, rows.iter().map(Vec::as_slice), positions);
    assert!(exact(Graph::Flip, &rows(&[0.0; 17]), 17).unwrap_err().to_string().contains("65536 at most"));
    assert!(exact(Graph::Flip, &rows(&[1.0; 16]), 16).is_ok());
    for symbol in [2.0, -1.0, 0.5, f32::NAN] {
        let message = exact(Graph::Flip, &rows(&[0.0, symbol]), 2).unwrap_err().to_string();
        assert!(message.contains("0 to 1"), "{message}");
    }
}
