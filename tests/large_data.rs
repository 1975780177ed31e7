//! Sets that are read from disk as they are needed: the same numbers, fingerprints, trainings and curves as in memory, bit for
//! bit; and what broken ones say.

mod common;

use common::{fixture, fresh, lipscope, refuse, report, succeed};
use image::{Rgb, RgbImage};
use lipscope::data::{ByteSize, DataSpec, Indexed, LoadOptions, SampleShape, Samples, Set};
use lipscope::error::Result;
use lipscope::train::{Batch, Batches, Data};
use ndarray::{Array2, Array4};
use ndarray_npy::WriteNpyExt;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const SIDE: u32 = 8;
const COUNT: usize = 64;

/// The pictures of `tests/fixtures/pictures/make.py`.
fn picture(i: usize) -> RgbImage {
    let i = if i == 9 { 8 } else { i as u32 };
    RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([7 * i + 3 * x, 5 * i + 11 * y, 13 * i + x * y].map(|v| v as u8)))
}

/// A member of a tar file, padded to blocks.
fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend_from_slice(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// A folder `photos`, shards `shard-0.tar` and `shard-1.tar`, and `images.npy`, all of the same pictures.
fn write(folder: &Path) {
    let photos = folder.join("photos");
    fs::create_dir_all(photos.join("b")).unwrap();
    let mut shards = [Vec::new(), Vec::new()];
    for i in 0..COUNT {
        let path = photos.join(if i < 40 { format!("{i:02}.png") } else { format!("b/{i:02}.png") });
        picture(i).save(&path).unwrap();
        let shard = &mut shards[i / 40];
        shard.extend(member(&format!("{i:02}.png"), &fs::read(&path).unwrap()));
        shard.extend(member(&format!("{i:02}.cls"), (i % 10).to_string().as_bytes()));
    }
    for (i, mut shard) in shards.into_iter().enumerate() {
        shard.extend([0; 1024]);
        fs::write(folder.join(format!("shard-{i}.tar")), shard).unwrap();
    }
    let side = SIDE as usize;
    let values = Array4::from_shape_fn((COUNT, 3, side, side), |(i, c, y, x)| picture(i)[(x as u32, y as u32)].0[c]);
    values.write_npy(fs::File::create(folder.join("images.npy")).unwrap()).unwrap();
}

/// Every layout of the same pictures.
fn layouts(folder: &Path) -> [String; 4] {
    let at = folder.display();
    [
        format!("images:{at}/photos"),
        format!("tar:{at}/shard-{{0..1}}.tar"),
        format!("parquet:{}", fixture("pictures/hub-*.parquet")),
        format!("{at}/images.npy"),
    ]
}

fn options(limit: Option<usize>, memory: u64) -> LoadOptions {
    let want = SampleShape { sample: Some(vec![3, 8, 8]), ..SampleShape::default() };
    LoadOptions { want, limit, memory: ByteSize(memory), ..LoadOptions::default() }
}

fn held(spec: &str, limit: Option<usize>) -> Samples {
    spec.parse::<DataSpec>().unwrap().load(&options(limit, 0)).unwrap()
}

fn indexed(spec: &str, limit: Option<usize>) -> Result<Indexed> {
    match spec.parse::<DataSpec>()?.open(&options(limit, 0))? {
        Set::Indexed(indexed) => Ok(indexed),
        Set::Held(_) => panic!("{spec} is held in memory"),
    }
}

fn complaint(spec: &str) -> String {
    indexed(spec, None).and_then(|mut set| set.survey().map(|_| ())).expect_err(spec).to_string()
}

#[test]
fn every_layout_has_the_same_numbers_in_memory_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    for limit in [None, Some(13)] {
        let reference = held(&layouts(folder.path())[0], limit);
        for spec in layouts(folder.path()) {
            let held = held(&spec, limit);
            assert_eq!((&held.images, &held.shape), (&reference.images, &reference.shape), "{spec}");
            let mut set = indexed(&spec, limit).unwrap();
            let survey = set.survey().unwrap();
            assert_eq!(
                (set.len(), &set.shape, &set.labels),
                (held.images.nrows(), &held.shape, &held.labels),
                "{spec}"
            );
            assert_eq!(
                (&survey.sha256, &set.description, &set.warnings),
                (&held.sha256, &held.description, &held.warnings)
            );
            assert_eq!((survey.covers, set.scaling), (None, held.scaling));
            let mut row = vec![0.0; set.width()];
            for i in (0..set.len()).rev() {
                set.read(i, &mut row).unwrap();
                assert_eq!(row, held.images.row(i).to_vec(), "{spec}, {i}");
            }
            if spec.starts_with("tar") || spec.starts_with("parquet") {
                let classes: Vec<i64> = lipscope::data::chosen(COUNT, limit).iter().map(|i| *i as i64 % 10).collect();
                assert_eq!(set.labels, Some(classes), "{spec}");
            }
        }
    }
}

/// Floats that are no pictures, integers of other types and channels last, on disk as in memory.
#[test]
fn arrays_of_every_type_are_read_by_rows_as_they_are_whole() {
    let (folder, path) = fresh("x.npy");
    let spec = path.display().to_string();
    let check = |note: &str| {
        let held = held(&spec, Some(5));
        let mut set = indexed(&spec, Some(5)).unwrap();
        let survey = set.survey().unwrap();
        assert_eq!((&survey.sha256, &set.warnings), (&held.sha256, &held.warnings), "{note}");
        let mut row = vec![0.0; set.width()];
        set.read(3, &mut row).unwrap();
        assert_eq!(row, held.images.row(3).to_vec(), "{note}");
        let n = held.images.len() as f64;
        let mean = held.images.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        assert_eq!(survey.moments.unwrap()[0], mean, "{note}");
    };
    let shape = (7, 8, 8, 3);
    let number = |(i, y, x, c): (usize, usize, usize, usize)| (i * 31 + y * 7 + x * 3 + c) as f64 / 100.0 - 1.0;
    Array4::from_shape_fn(shape, number).write_npy(fs::File::create(&path).unwrap()).unwrap();
    check("float64, channels last");
    Array4::from_shape_fn(shape, |at| (number(at) * 50.0 + 60.0) as i32)
        .write_npy(fs::File::create(&path).unwrap())
        .unwrap();
    check("int32");
    Array2::from_shape_fn((7, 192), |(i, j)| (i + j) % 3 == 0).write_npy(fs::File::create(&path).unwrap()).unwrap();
    check("booleans");
    Array2::from_elem((7, 192), 300i32).write_npy(fs::File::create(&path).unwrap()).unwrap();
    assert!(complaint(&spec).contains("int32 between 300 and 300"), "{}", complaint(&spec));
    assert!(indexed(&spec, None).unwrap().read(0, &mut [0.0; 192]).is_err());
    Array2::from_shape_fn((7, 192), |(i, _)| if i == 4 { f32::NAN } else { 0.0 })
        .write_npy(fs::File::create(&path).unwrap())
        .unwrap();
    assert!(complaint(&spec).contains("sample 4 are not finite"), "{}", complaint(&spec));
    drop(folder);
}

/// A set above 4 GiB: zeros that take no room on the disk.
#[test]
fn a_set_that_is_not_read_whole_is_known_by_its_size_and_by_some_samples() {
    let (_folder, path) = fresh("sparse.npy");
    let shape = [3, 32, 32];
    let write = |count: usize, last: u8| {
        let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 3, 32, 32), }}");
        header.extend(std::iter::repeat_n(' ', 117 - header.len()));
        let bytes = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), b"\n"].concat();
        let file = fs::File::create(&path).unwrap();
        file.set_len((bytes.len() + count * 3072) as u64).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.write_all_at(&[last], bytes.len() as u64).unwrap();
    };
    let survey = || {
        let want = SampleShape { sample: Some(shape.to_vec()), ..SampleShape::default() };
        let options = LoadOptions { want, ..LoadOptions::default() };
        let Set::Indexed(mut set) = path.display().to_string().parse::<DataSpec>().unwrap().open(&options).unwrap()
        else {
            panic!("a set of {} is held in memory", LoadOptions::default().memory);
        };
        let survey = set.survey().unwrap();
        assert!(survey.covers.as_deref().is_some_and(|covers| covers.contains("256 samples")), "{survey:?}");
        assert_eq!((survey.moments, set.bytes() > lipscope::data::WHOLE), (None, true));
        survey.sha256
    };
    write(400_000, 0);
    let first = survey();
    assert_eq!(survey(), first);
    write(400_000, 1);
    assert_ne!(survey(), first, "the first sample is among those that are read");
    write(400_001, 0);
    assert_ne!(survey(), first, "there is one sample more");
}

fn batches(data: Data, workers: usize, first: u64, count: usize) -> Vec<Batch> {
    let batches =
        Batches { data, shape: vec![3, 8, 8], timesteps: 100, flip: true, seed: 4, size: 12, rows: 0..12, workers };
    batches.start(first).iter().take(count).collect::<Result<_>>().unwrap()
}

#[test]
fn batches_do_not_depend_on_the_place_of_the_data_nor_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    for spec in layouts(folder.path()) {
        // Two and a half epochs.
        let rows = Arc::new(held(&spec, None).images);
        let reference = batches(Data::Rows(rows), 1, 0, 13);
        let set = Arc::new(indexed(&spec, None).unwrap());
        for workers in [1, 3] {
            assert!(batches(Data::Indexed(Arc::clone(&set)), workers, 0, 13) == reference, "{spec}, {workers} threads");
            assert!(batches(Data::Indexed(Arc::clone(&set)), workers, 8, 5) == reference[8..], "{spec} from batch 8");
        }
    }
}

#[test]
fn a_picture_that_breaks_while_training_goes_on_ends_it_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let set = Arc::new(indexed(&layouts(folder.path())[0], None).unwrap());
    fs::write(folder.path().join("photos/17.png"), "no picture").unwrap();
    for workers in [1, 3] {
        let data = Data::Indexed(Arc::clone(&set));
        let batches =
            Batches { data, shape: vec![3, 8, 8], timesteps: 100, flip: false, seed: 4, size: 4, rows: 0..4, workers };
        let made: Vec<Result<Batch>> = batches.start(0).iter().collect();
        // The first epoch has 16 batches and sees each picture once.
        let (last, good) = made.split_last().unwrap();
        assert!(made.len() <= 16 && good.iter().all(Result::is_ok), "{workers}");
        let message = last.as_ref().unwrap_err().to_string();
        assert!(message.contains("photos/17.png") && message.contains("cannot be read as a picture"), "{message}");
    }
}

/// What a training writes, without its speed.
#[derive(Debug, PartialEq)]
struct Trained {
    plan: String,
    csv: String,
    /// All tensors of the state, by name.
    state: Vec<(String, Vec<u8>)>,
}

fn trained(out: &Path) -> Trained {
    let csv = fs::read_to_string(out.join("train.csv")).unwrap();
    let state = lipscope::tensor_file::read(out.join("training.safetensors")).unwrap();
    Trained {
        plan: fs::read_to_string(out.join("plan.json")).unwrap(),
        csv: csv.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string() + "\n").collect(),
        state: state.arrays.into_iter().map(|(name, array)| (name, array.bytes().to_vec())).collect(),
    }
}

/// Both are equal; where they are not, in what.
fn assert_same(a: &Trained, b: &Trained, note: &str) {
    assert_eq!((&a.plan, &a.csv), (&b.plan, &b.csv), "{note}");
    let differing = a.state.iter().zip(&b.state).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str());
    let differing: Vec<&str> = differing.collect();
    assert!(differing.is_empty() && a.state.len() == b.state.len(), "{note}: {differing:?} differ");
}

#[test]
fn trainings_from_disk_are_those_from_memory_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let arch = "unet:channels=8-16,attention=4,head-dim=8";
    for spec in layouts(folder.path()) {
        let run = |out: &str, steps: &str, more: &[&str]| {
            let fixed = [
                "train",
                "--variant",
                "ddpm",
                "--data",
                &spec,
                "--shape",
                "3,8,8",
                "--arch",
                arch,
                "--flip",
                "--quiet",
            ];
            let numbers = ["--batch", "12", "--log-every", "2", "--threads", "1", "--steps", steps, "--out", out];
            succeed(folder.path(), &[&fixed[..], &numbers, more].concat());
            trained(&folder.path().join(out))
        };
        let _ = fs::remove_dir_all(folder.path().join("runs"));
        let memory = run("runs/memory", "8", &[]);
        assert_same(
            &run("runs/one", "8", &["--data-memory", "0", "--workers", "1"]),
            &memory,
            &format!("{spec}, one thread"),
        );
        // Stopped and gone on with, with other threads and from the other place.
        run("runs/three", "4", &["--data-memory", "0", "--workers", "3"]);
        let resumed = run("runs/three", "8", &["--data-memory", "0", "--workers", "3", "--resume"]);
        assert_same(&resumed, &memory, &format!("{spec}, three threads"));
        run("runs/moved", "4", &[]);
        let moved = run("runs/moved", "8", &["--data-memory", "1kB", "--workers", "2"]);
        assert_same(&moved, &memory, &format!("{spec}, from memory to disk"));
    }
}

#[test]
fn a_curve_is_measured_on_every_layout_alike() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let fixed = ["train", "--variant", "ddpm", "--data", "images:photos", "--shape", "3,8,8", "--arch"];
    let more = ["mlp:width=16,blocks=1", "--steps", "2", "--batch", "4", "--quiet", "--out", "run"];
    succeed(folder.path(), &[&fixed[..], &more].concat());
    let measure = |spec: &str, more: &[&str]| {
        common::clear(folder.path());
        let fixed =
            ["measure", "run/model.pt", "--data", spec, "--samples", "16", "--timesteps", "0,10,500", "--threads", "1"];
        succeed(folder.path(), &[&fixed[..], more, &["--quiet", "--out", "out"]].concat());
        let report = report(&folder.path().join("out"));
        (report["models"][0]["curves"].clone(), report["provenance"]["plan"]["data"].clone())
    };
    let (reference, _) = measure("images:photos", &[]);
    for spec in layouts(folder.path()) {
        let (curves, data) = measure(&spec, &[]);
        let on_disk = measure(&spec, &["--data-memory", "0"]);
        assert_eq!((&curves, &data), (&on_disk.0, &on_disk.1), "{spec}");
        assert_eq!(curves, reference, "{spec}");
    }
    // Classes of the shards condition nothing here, but samples that are compared do.
    let evaluate = |more: &[&str]| {
        common::clear(folder.path());
        let fixed = [
            "evaluate",
            "run/model.pt",
            "--data",
            "tar:.",
            "--samples",
            "20",
            "--nfe",
            "2",
            "--seeds",
            "1",
            "--threads",
        ];
        succeed(folder.path(), &[&fixed[..], &["1", "--quiet", "--out", "out"], more].concat());
        let report = report(&folder.path().join("out"));
        report["tables"][0]["rows"].clone()
    };
    assert_eq!(evaluate(&[]), evaluate(&["--data-memory", "64MiB"]));
    let fixed = ["evaluate", "run/model.pt", "--data", "tar:.", "--samples", "20", "--nfe", "2", "--data-memory", "0"];
    refuse(folder.path(), &fixed, &["all 64 of the data", "--features", "--data-limit"]);
    let stability = [
        "stability",
        "run/model.pt",
        "--data",
        "tar:.",
        "--samples",
        "4",
        "--quiet",
        "--data-memory",
        "0",
        "--out",
        "s",
    ];
    succeed(folder.path(), &stability);
}

#[test]
fn what_needs_all_of_the_data_says_how_much_that_is() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let theory = ["theory", "--data", "images:photos", "--shape", "3,8,8", "--data-memory", "10KiB"];
    refuse(folder.path(), &theory, &["all 64 samples", "48KiB", "10KiB are allowed", "--data-limit 13"]);
    let fits =
        ["theory", "--data", "images:photos", "--shape", "3,8,8", "--data-memory", "10KiB", "--data-limit", "13"];
    succeed(folder.path(), &[&fits[..], &["--samples", "4", "--timesteps", "5", "--quiet", "--out", "t"]].concat());
    assert!(!lipscope(folder.path(), &["theory", "--data-memory", "4G"]).status.success());
}

#[test]
fn broken_sets_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let spec = |rest: &str| format!("tar:{}/{rest}", folder.path().display());
    let whole = fs::read(folder.path().join("shard-0.tar")).unwrap();
    for cut in [whole.len() - 1024, whole.len() / 2, 700, 0] {
        fs::write(folder.path().join("cut.tar"), &whole[..cut]).unwrap();
        let message = complaint(&spec("cut.tar"));
        assert!(message.contains("cut.tar") && message.contains("cut short"), "{cut}: {message}");
    }
    let mut broken = member("a/1.png", b"no picture at all");
    broken.extend([0; 1024]);
    fs::write(folder.path().join("broken.tar"), broken).unwrap();
    assert!(complaint(&spec("broken.tar")).contains("broken.tar/a/1.png"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(complaint(&spec("empty")).contains("no file *.tar"));
    assert!(complaint(&format!("images:{}/empty", folder.path().display())).contains("no pictures"));
    let train = ["train", "--variant", "ddpm", "--data", "tar:broken.tar", "--shape", "3,8,8", "--data-memory", "0"];
    refuse(folder.path(), &[&train[..], &["--out", "never"]].concat(), &["broken.tar/a/1.png"]);
    assert!(!folder.path().join("never").exists());
    refuse(folder.path(), &["train", "--variant", "ddpm", "--data", "tar:shard-0.tar"], &["--shape"]);
}

#[test]
fn parquet_files_say_which_columns_they_have() {
    let spec = |rest: &str| format!("parquet:{}", fixture(&format!("pictures/{rest}")));
    assert!(complaint(&spec("text.parquet")).contains("no column of pictures; its columns are text, label"));
    assert!(complaint(&spec("hub-0.parquet#label")).contains("no column `label` of pictures"));
    assert!(complaint(&spec("plain.parquet")).contains("several columns of pictures"));
    assert!(complaint(&spec("missing.parquet")).contains("missing.parquet/row 3: there is no picture in this row"));
    let plain = held(&spec("plain.parquet#png"), None);
    assert_eq!(plain.images, held(&spec("hub-0.parquet"), None).images);
    let whole = fs::read(fixture("pictures/hub-0.parquet")).unwrap();
    let (_folder, path) = fresh("cut.parquet");
    for cut in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(complaint(&format!("parquet:{}", path.display())).contains("cut.parquet"), "{cut}");
    }
}

/// No byte of a file can be turned into a crash; what is read in spite of it are pictures of the right size.
#[test]
fn flipped_bytes_give_errors_or_pictures() {
    let (_folder, path) = fresh("flipped.parquet");
    for name in ["hub-0.parquet", "hub-1.parquet"] {
        let whole = fs::read(fixture(&format!("pictures/{name}"))).unwrap();
        for at in (0..whole.len()).step_by(7).chain(whole.len() - 1500..whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let Ok(set) = indexed(&format!("parquet:{}", path.display()), None) else { continue };
            let mut row = vec![0.0; set.width()];
            for i in (0..set.len().min(64)).step_by(5) {
                let _ = set.read(i, &mut row);
            }
        }
    }
}
