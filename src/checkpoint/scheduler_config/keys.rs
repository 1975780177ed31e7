//! Keys of diffusers' schedulers, and what their classes leave out.

/// Keys that are read.
pub(super) const READ: [&str; 12] = [
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "num_train_timesteps",
    "prediction_type",
    "clip_sample",
    "clip_sample_range",
    "rescale_betas_zero_snr",
    "use_flow_sigmas",
    "timestep_type",
    "invert_sigmas",
];

/// Keys that only concern how samples are made: which times are visited, by which solver, and what is cut off there.
pub(super) const SAMPLING: [&str; 46] = [
    "algorithm_type",
    "base_image_seq_len",
    "base_shift",
    "corrector_order",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "eta",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "interpolation_type",
    "lambda_min_clipped",
    "lower_order_final",
    "max_image_seq_len",
    "max_shift",
    "noise_sampler_seed",
    "original_inference_steps",
    "predict_x0",
    "predictor_order",
    "sample_max_value",
    "scale_factors",
    "set_alpha_to_one",
    "set_alpha_to_zero",
    "shift",
    "shift_terminal",
    "sigma_max",
    "sigma_min",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "steps_offset",
    "stochastic_sampling",
    "tau_func",
    "thresholding",
    "time_shift_type",
    "timestep_scaling",
    "timestep_spacing",
    "upscale_mode",
    "use_beta_sigmas",
    "use_dynamic_shifting",
    "use_exponential_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "use_timestep_transform",
    "variance_type",
];

/// What a class over β takes where its configuration is silent.
pub(super) struct Defaults {
    pub class: &'static str,
    pub schedule: &'static str,
    /// β of the first and the last step.
    pub range: [f64; 2],
}

const fn defaults(class: &'static str, schedule: &'static str, range: [f64; 2]) -> Defaults {
    Defaults { class, schedule, range }
}

const DDPM: [f64; 2] = [0.0001, 0.02];
const STABLE: [f64; 2] = [0.00085, 0.012];

/// Schedulers over β.
pub(super) const OVER_BETA: [Defaults; 23] = [
    defaults("DDPMScheduler", "linear", DDPM),
    defaults("DDPMParallelScheduler", "linear", DDPM),
    defaults("DDIMScheduler", "linear", DDPM),
    defaults("DDIMParallelScheduler", "linear", DDPM),
    defaults("DDIMInverseScheduler", "linear", DDPM),
    defaults("PNDMScheduler", "linear", DDPM),
    defaults("RePaintScheduler", "linear", DDPM),
    defaults("LMSDiscreteScheduler", "linear", DDPM),
    defaults("EulerDiscreteScheduler", "linear", DDPM),
    defaults("EulerAncestralDiscreteScheduler", "linear", DDPM),
    defaults("DEISMultistepScheduler", "linear", DDPM),
    defaults("DPMSolverMultistepScheduler", "linear", DDPM),
    defaults("DPMSolverMultistepInverseScheduler", "linear", DDPM),
    defaults("DPMSolverSinglestepScheduler", "linear", DDPM),
    defaults("UniPCMultistepScheduler", "linear", DDPM),
    defaults("SASolverScheduler", "linear", DDPM),
    defaults("DPMSolverSDEScheduler", "linear", STABLE),
    defaults("HeunDiscreteScheduler", "linear", STABLE),
    defaults("KDPM2DiscreteScheduler", "linear", STABLE),
    defaults("KDPM2AncestralDiscreteScheduler", "linear", STABLE),
    defaults("LCMScheduler", "scaled_linear", STABLE),
    defaults("TCDScheduler", "scaled_linear", STABLE),
    defaults("UnCLIPScheduler", "squaredcos_cap_v2", DDPM),
];
