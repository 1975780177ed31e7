//! Bad input: exit 2, one clear paragraph, no panic, nothing written.

mod common;

use common::{fixture, fresh, names, refuse};
use std::fs;

#[test]
fn files_that_are_no_checkpoints() {
    let (folder, _) = fresh("");
    let here = folder.path();
    fs::write(here.join("empty.pt"), "").unwrap();
    fs::write(here.join("text.pt"), "these are words, not weights\n").unwrap();
    let whole = fs::read(fixture("torchscript/plain.pt")).unwrap();
    fs::write(here.join("cut.pt"), &whole[..whole.len() / 2]).unwrap();
    for (file, says) in [
        ("missing.pt", "No such file"),
        ("empty.pt", "empty"),
        ("text.pt", "text"),
        ("cut.pt", "cut.pt"),
        (&fixture("torchscript/state_dict.pt"), "no architecture that is known"),
    ] {
        refuse(here, &["measure", file, "--data", "digits"], &[says]);
    }
    assert_eq!(names(here), ["cut.pt", "empty.pt", "text.pt"]);
}

#[test]
fn modules_that_are_not_f_of_x_and_t() {
    let (folder, _) = fresh("");
    for (file, says) in [
        ("baked.pt", "t is baked in"),
        ("ignores_t.pt", "does not depend on t"),
        ("three_inputs.pt", "`context` is missing"),
        ("nan.pt", "`conv.weight` holds NaN"),
    ] {
        refuse(folder.path(), &["measure", &fixture(&format!("torchscript/{file}")), "--data", "digits"], &[says]);
    }
    refuse(folder.path(), &["measure", &fixture("torchscript/plain.pt")], &["--shape"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn arguments_that_cannot_be_used() {
    let (folder, _) = fresh("");
    let plain = fixture("torchscript/plain.pt");
    for (arguments, says) in [
        (["--timesteps", "5000"], "T = 1000"),
        (["--timesteps", "999"], "--dt 1"),
        (["--schedule", "linaer"], "scaled-linear"),
        (["--prediction", "noise"], "epsilon, v, x0, flow, reversed-flow, "),
        (["--share", "n=0,until=100"], "n=5,until=100"),
        (["--axis", "time"], "log-snr"),
        (["--dtype", "f8"], "f32, f64, bf16 or f16"),
        (["--device", "tpu"], "cpu"),
        (["--plot=gif", "--json"], "svg"),
        (["--samples", "0"], "at least 1"),
        (["--rel-error", "2"], "between 0 and 1"),
        (["--batch", "0"], "above 0"),
        (["--tolerance", "0"], "between 0 and 1"),
        (["--quantity", "slope"], "secant, derivative, both, path, spatial or size"),
        (["--dt", "5000"], "smaller"),
        (["--class", "3"], "TorchScript"),
    ] {
        let all = [&["measure", &plain, "--data", "digits"], &arguments[..]].concat();
        refuse(folder.path(), &all, &[says]);
    }
}

#[test]
fn data_that_does_not_fit() {
    let (folder, _) = fresh("");
    let three_channels = fixture("unet2d/ddpm_cifar10");
    refuse(folder.path(), &["measure", &three_channels, "--data", "digits"], &["[1, 8, 8]", "[3, 8, 8]"]);
    let pipeline = fixture("torchscript/pipeline");
    refuse(folder.path(), &["compare", &pipeline, &three_channels], &["[3, 8, 8]"]);
    refuse(folder.path(), &["measure", &pipeline, "--data", "nowhere.npy"], &["nowhere.npy"]);
}

#[test]
fn diffusers_folders_that_are_not_covered() {
    let (folder, model) = fresh("unet");
    fs::create_dir(&model).unwrap();
    let config = model.join("config.json");
    fs::write(&config, r#"{"_class_name": "PixArtTransformer2DModel"}"#).unwrap();
    refuse(folder.path(), &["measure", "unet"], &["a PixArtTransformer2DModel", "natively are UNet2DModel"]);
    let kandinsky = r#"{"_class_name": "UNet2DConditionModel", "addition_embed_type": "text_image"}"#;
    fs::write(&config, kandinsky).unwrap();
    refuse(folder.path(), &["measure", "unet"], &["`addition_embed_type` = `text_image`", "`text_time`"]);
    fs::write(&config, "{ not json").unwrap();
    refuse(folder.path(), &["measure", "unet"], &["JSON"]);
    fs::write(&config, r#"{"down_block_types": ["SkipDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]}"#)
        .unwrap();
    refuse(folder.path(), &["measure", "unet"], &["SkipDownBlock2D"]);
}

#[test]
fn places_that_cannot_be_written() {
    let (folder, file) = fresh("file");
    fs::write(&file, "in the way").unwrap();
    let pipeline = fixture("torchscript/pipeline");
    refuse(folder.path(), &["measure", &pipeline, "--data", "digits", "--out", "file/out"], &["file/out"]);
    if std::path::Path::new("/dev/full").exists() {
        // A folder on a full disk cannot be had without mounting one; the device that is always full stands in.
        refuse(folder.path(), &["measure", &pipeline, "--data", "digits", "--out", "/dev/full"], &["/dev/full"]);
    }
    assert_eq!(names(folder.path()), ["file"]);
}
