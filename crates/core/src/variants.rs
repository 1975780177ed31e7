//! The names of the variants and what `lipscope train --help` says of each, with nothing else in the file: the program
//! that prints the help is built without libtorch.

/// Name and one line, in the order of `VARIANTS`.
pub const CATALOGUE: [(&str, &str); 8] = [
    ("ddpm", "the plain model, asked about t itself"),
    ("e-tsdm", "timestep conditions shared near 0, in --intervals up to --until or between --boundaries"),
    ("e-tsdm-noised", "e-tsdm that also noises at the shared timestep"),
    ("penalty", "adds --penalty-weight times the squared time difference quotient below --until to the loss"),
    ("modified-schedule", "the schedule slowed down below --until, so that its alpha starts flat"),
    ("remap", "the condition re-parametrised smoothly below --until, so that it starts flat"),
    ("sigma-condition", "the network gets sigma times T for t"),
    ("slow-condition", "the network gets t/8 for t: no sinusoid of its embedding turns faster than 1/8 per step"),
];
