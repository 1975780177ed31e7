//! A diffusers pipeline folder: `unet/` for `UNet2DModel.from_pretrained(DIR, subfolder="unet")`, other sets of weights
//! beside it, a scheduler, and a README that names the shared timesteps, which diffusers knows nothing of.

use super::{Content, Writer, safetensors_bytes, scheduler};
use crate::atomic;
use crate::checkpoint::Declared;
use crate::checkpoint::diffusers::{DESCRIPTION, SAMPLES, set_folder};
use crate::checkpoint::weights::REFERENCE;
use crate::error::{Error, Result};
use crate::process::ProcessSpec;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

pub(super) const WRITER: Writer = Writer { name: "diffusers", file_name: "model", refuses, write };

fn refuses(architecture: &Value) -> Option<String> {
    let name = architecture.get("_class_name").and_then(Value::as_str).unwrap_or("a network of no name");
    (name != "UNet2DModel").then(|| format!("diffusers has UNet2DModel, and this is a {name}"))
}

/// Every file is whole at any time; the weights come before the description.
fn write(content: &Content, folder: &Path) -> Result<()> {
    let declared = content.declared()?;
    let json = |value: &Value| {
        serde_json::to_vec_pretty(value)
            .map_err(|e| Error::mismatch(format!("a configuration cannot be written ({e})"), "Report this."))
    };
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, "creating the folder", &e))?;
        atomic::write(&path, bytes)
    };
    let config = json(content.architecture()?)?;
    for (i, set) in content.sets.iter().enumerate() {
        let part = if i == 0 { "unet".to_string() } else { set_folder(&set.name) };
        let tensors: Vec<_> = set.tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        put(&format!("{part}/diffusion_pytorch_model.safetensors"), &safetensors_bytes(&tensors, metadata)?)?;
        put(&format!("{part}/config.json"), &config)?;
    }
    let scheduler = scheduler::config(&declared);
    let mut parts = json!({ "_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"] });
    if let (Some(scheduler), Some(parts)) = (&scheduler, parts.as_object_mut()) {
        put("scheduler/scheduler_config.json", &json(scheduler)?)?;
        parts.insert("scheduler".into(), json!(["diffusers", "DDPMScheduler"]));
    }
    put("model_index.json", &json(&parts)?)?;
    if let Some(samples) = content.reference {
        put(SAMPLES, &safetensors_bytes(&[(REFERENCE.to_string(), samples)], HashMap::new())?)?;
    }
    put(DESCRIPTION, content.sidecar.to_json()?.as_bytes())?;
    put("README.md", readme(content, &declared, scheduler.is_some()).as_bytes())
}

fn readme(content: &Content, declared: &Declared, has_scheduler: bool) -> String {
    let training = declared.training.as_ref();
    let variant = training.map_or("model", |training| training.variant.as_str());
    let schedule = declared.schedule.as_ref().map_or("unknown", ProcessSpec::name);
    let mut text = format!(
        "# A diffusion model, trained as {variant} by lipscope\n\n\
         A `UNet2DModel` that predicts {}, noise schedule `{schedule}`.\n\n\
         ```python\nfrom diffusers import UNet2DModel\nunet = UNet2DModel.from_pretrained(\"DIR\", subfolder=\"unet\")\n```\n\n",
        declared.prediction.unwrap_or_default()
    );
    if !has_scheduler {
        text.push_str("There is no scheduler folder: none of diffusers' has this schedule and prediction type.\n\n");
    }
    if content.sets.len() > 1 {
        let others: Vec<String> =
            content.sets.iter().skip(1).map(|set| format!("`{}/`", set_folder(&set.name))).collect();
        let default = content.sets.first().map_or("", |set| set.name.as_str());
        let _ = writeln!(text, "`unet/` holds the weights `{default}`; others are in {}.\n", others.join(", "));
    }
    let condition = declared.conditioning.unwrap_or_default().to_string();
    match (&declared.share, condition.as_str()) {
        (None, "step") => text.push_str("The network takes the plain timestep.\n"),
        (share, _) => {
            let share = share.as_deref().unwrap_or("none");
            let _ = writeln!(
                text,
                "**The network must not be given the plain timestep.** Its condition is `{condition}` of the mapped \
                 timestep (`{share}`); x_t is noised at the true one. diffusers' pipelines do not know this: \
                 call the network as follows."
            );
            text.push_str(&snippet(declared));
        }
    }
    text
}

/// Python that maps a timestep, where the condition is a shared timestep.
fn snippet(declared: &Declared) -> String {
    let boundaries = declared.share.as_deref().zip(declared.schedule.as_ref()).and_then(|(text, named)| {
        let map = crate::timestep_map::parse(text, named.timesteps()).ok()?;
        let plain = declared.conditioning.unwrap_or_default() == Default::default();
        (plain && !map.boundaries().is_empty()).then(|| map.boundaries().to_vec())
    });
    match boundaries {
        Some(boundaries) => format!(
            "\n```python\nimport torch\nboundaries = torch.tensor({boundaries:?})\n\n\
             def condition(t):  # shared timesteps near t = 0\n    \
             start = boundaries[(torch.bucketize(t.float(), boundaries, right=True) - 1).clamp(min=0)]\n    \
             return torch.where(t < boundaries[-1], start, t.float())\n\n\
             epsilon = unet(x_t, condition(t)).sample\n```\n"
        ),
        None => "\nThe TorchScript form of this checkpoint (`--format pt`) maps t itself.\n".into(),
    }
}
