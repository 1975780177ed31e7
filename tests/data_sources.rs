//! Every data source on small files made here: numbers, shapes, scaling, and what broken files say.

use lipscope::data::{DataSpec, LoadOptions, SampleShape, Samples};
use lipscope::error::Result;
use ndarray::Array;
use ndarray_npy::WriteNpyExt;
use std::fs::{self, File};
use std::path::Path;

fn load(text: &str, options: LoadOptions) -> Result<Samples> {
    text.parse::<DataSpec>()?.load(&options)
}

fn wanting(shape: &[i64]) -> LoadOptions {
    LoadOptions {
        want: SampleShape { sample: Some(shape.to_vec()), ..SampleShape::default() },
        ..LoadOptions::default()
    }
}

fn complaint(text: &str, options: LoadOptions) -> String {
    load(text, options).expect_err(text).to_string()
}

fn idx(magic: u32, lengths: &[u32], bytes: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(lengths).flat_map(|word| word.to_be_bytes());
    words.chain(bytes.iter().copied()).collect()
}

#[test]
fn digits_are_scaled_from_sixteen_grey_levels() {
    let digits = load("digits", wanting(&[1, 8, 8])).unwrap();
    assert_eq!((digits.images.dim(), digits.shape.as_slice()), ((1797, 64), [1, 8, 8].as_slice()));
    // The first row of the first digit is 0 0 5 13 9 1 0 0.
    assert_eq!(digits.images.row(0).as_slice().unwrap()[..4], [-1.0, -1.0, -0.375, 0.625]);
    assert!(complaint("digits", wanting(&[3, 32, 32])).contains("[3, 32, 32]"));
    let some = load("digits", LoadOptions { limit: Some(3), ..wanting(&[1, 8, 8]) }).unwrap();
    assert_eq!(some.images.row(1), digits.images.row(599));
}

#[test]
fn mnist_is_read_from_idx_files_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("mnist:{}", folder.path().display());
    assert!(complaint(&spec, LoadOptions::default()).contains("train-images-idx3-ubyte"));
    let images = idx(0x0803, &[2, 2, 2], &[0, 255, 51, 204, 255, 0, 0, 0]);
    fs::write(folder.path().join("train-images-idx3-ubyte"), &images).unwrap();
    fs::write(folder.path().join("train-labels-idx1-ubyte"), idx(0x0801, &[2], &[7, 3])).unwrap();
    let mnist = load(&spec, wanting(&[1, 2, 2])).unwrap();
    let first: Vec<f32> = mnist.images.row(0).to_vec();
    assert!(first.iter().zip([-1.0, 1.0, -0.6, 0.6]).all(|(got, want)| (got - want).abs() < 1e-6), "{first:?}");
    assert_eq!(mnist.labels, Some(vec![7, 3]));

    let packed = folder.path().join("t10k");
    fs::create_dir(&packed).unwrap();
    let mut gz = flate2::write::GzEncoder::new(
        File::create(packed.join("t10k-images.idx3-ubyte.gz")).unwrap(),
        flate2::Compression::default(),
    );
    std::io::Write::write_all(&mut gz, &images).unwrap();
    gz.finish().unwrap();
    let test = load(&format!("mnist:{}", packed.display()), LoadOptions::default()).unwrap();
    assert_eq!(test.images, mnist.images);

    for (bytes, says) in [
        (idx(0x0801, &[2, 2, 2], &[0; 8]), "begins with"),
        (idx(0x0803, &[2, 2, 2], &[0; 7]), "claims"),
        (idx(0x0803, &[u32::MAX; 3], &[0; 8]), "claims"),
        (vec![0, 0], "header"),
    ] {
        fs::write(folder.path().join("train-images-idx3-ubyte"), bytes).unwrap();
        assert!(complaint(&spec, LoadOptions::default()).contains(says), "{says}");
    }
}

#[test]
fn cifar10_is_read_from_its_binary_version() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("cifar10:{}", folder.path().display());
    assert!(complaint(&spec, LoadOptions::default()).contains("data_batch_1.bin"));
    let mut record = vec![9u8];
    record.extend((0..3072).map(|i| if i < 1024 { 255 } else { 0 }));
    let path = folder.path().join("data_batch_1.bin");
    fs::write(&path, record.repeat(2)).unwrap();
    let cifar = load(&spec, wanting(&[3, 32, 32])).unwrap();
    assert_eq!((cifar.images.dim(), cifar.labels), ((2, 3072), Some(vec![9, 9])));
    // Red is the first plane.
    assert_eq!((cifar.images[[0, 0]], cifar.images[[0, 1023]], cifar.images[[0, 1024]]), (1.0, 1.0, -1.0));
    assert!(cifar.warnings[0].contains("1 of CIFAR-10's 5"));
    fs::write(&path, &record[..3000]).unwrap();
    assert!(complaint(&spec, LoadOptions::default()).contains("3000 bytes"));
    record[0] = 10;
    fs::write(&path, &record).unwrap();
    assert!(complaint(&spec, LoadOptions::default()).contains("label 10"));
}

#[test]
fn pictures_are_cropped_at_the_centre_and_resized() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("images:{}", folder.path().display());
    assert!(complaint(&spec, wanting(&[3, 4, 4])).contains("no pictures"));
    // A wide picture: black outside, red in the central square.
    let mut wide = image::RgbImage::new(24, 8);
    for (x, _, pixel) in wide.enumerate_pixels_mut() {
        *pixel = image::Rgb(if (8..16).contains(&x) { [255, 0, 0] } else { [0, 0, 0] });
    }
    fs::create_dir(folder.path().join("a")).unwrap();
    wide.save(folder.path().join("a/wide.png")).unwrap();
    image::GrayImage::from_pixel(4, 4, image::Luma([255])).save(folder.path().join("b.PNG")).unwrap();
    fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    let pictures = load(&spec, wanting(&[3, 4, 4])).unwrap();
    assert_eq!(pictures.images.dim(), (2, 48));
    let wide = pictures.images.row(0).to_vec();
    let (red, rest) = wide.split_at(16);
    assert!(red.iter().all(|&v| v == 1.0) && rest.iter().all(|&v| v == -1.0), "{red:?} {rest:?}");
    assert!(pictures.images.row(1).iter().all(|&v| v == 1.0));
    assert_eq!(load(&spec, wanting(&[1, 4, 4])).unwrap().images.dim(), (2, 16));
    assert!(complaint(&spec, LoadOptions::default()).contains("--shape"));
    fs::write(folder.path().join("c.png"), b"\x89PNG\r\n\x1a\n broken").unwrap();
    assert!(complaint(&spec, wanting(&[3, 4, 4])).contains("c.png"));
}

#[test]
fn hidden_files_and_folders_are_no_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("images:{}", folder.path().display());
    let picture = image::GrayImage::from_pixel(4, 4, image::Luma([255]));
    picture.save(folder.path().join("0.png")).unwrap();
    // What macOS and Jupyter leave: no picture at all, and a copy of one.
    fs::write(folder.path().join("._0.png"), "no picture").unwrap();
    for hidden in [".ipynb_checkpoints", "__MACOSX", ".git"] {
        fs::create_dir(folder.path().join(hidden)).unwrap();
        picture.save(folder.path().join(hidden).join("0-checkpoint.png")).unwrap();
    }
    assert_eq!(load(&spec, wanting(&[1, 4, 4])).unwrap().images.nrows(), 1);
}

#[test]
fn colours_become_the_grey_of_pil() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("images:{}", folder.path().display());
    for (name, colour) in [("a.png", [255, 0, 0]), ("b.png", [0, 255, 0]), ("c.png", [0, 0, 255])] {
        image::RgbImage::from_pixel(4, 4, image::Rgb(colour)).save(folder.path().join(name)).unwrap();
    }
    let grey = load(&spec, wanting(&[1, 4, 4])).unwrap();
    for (row, stored) in [76f32, 150.0, 29.0].into_iter().enumerate() {
        // One of 256 levels is 2/255.
        assert!(
            (grey.images[[row, 0]] - (2.0 * stored / 255.0 - 1.0)).abs() < 1e-6,
            "{row}: {}",
            grey.images[[row, 0]]
        );
    }
}

#[test]
fn pictures_that_are_cut_short_are_refused_whatever_their_format() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("images:{}", folder.path().display());
    // Noise, which does not compress, so that much of the file is pixels.
    let noise =
        |x: u32, y: u32| image::Rgb([(x * 37 + y * 91) as u8, (x * x * 13 + y) as u8, (y * y * 7 + x * 3) as u8]);
    let picture = image::RgbImage::from_fn(64, 64, noise);
    for ending in ["png", "jpg", "webp", "bmp", "tiff"] {
        let path = folder.path().join(format!("a.{ending}"));
        picture.save(&path).unwrap();
        assert_eq!(load(&spec, wanting(&[3, 64, 64])).unwrap().images.nrows(), 1, "{ending}");
        let whole = fs::read(&path).unwrap();
        for share in [1, 2, 3] {
            fs::write(&path, &whole[..whole.len() * share / 4]).unwrap();
            assert!(complaint(&spec, wanting(&[3, 64, 64])).contains(&format!("a.{ending}")), "{ending} {share}/4");
        }
        fs::remove_file(&path).unwrap();
    }
}

fn write_npz(path: &Path, arrays: &[(&str, usize)]) {
    let mut archive = ndarray_npy::NpzWriter::new(File::create(path).unwrap());
    for (name, count) in arrays {
        let array =
            Array::<f32, _>::from_shape_fn((*count, 2, 3), |(n, _, _)| n as f32 / 10.0 + *count as f32 / 1000.0);
        archive.add_array(*name, &array).unwrap();
    }
    archive.finish().unwrap();
}

/// Keras' mnist.npz and MedMNIST's have such names.
#[test]
fn one_of_several_arrays_is_chosen_behind_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("several.npz");
    write_npz(&path, &[("x_train", 4), ("x_test", 3)]);
    let spec = path.display().to_string();
    let says = complaint(&spec, wanting(&[1, 2, 3]));
    // The next step that is named works.
    let next = format!("{spec}#x_train");
    assert!(says.contains("x_train, x_test") && says.contains(&next), "{says}");
    assert_eq!(load(&next, wanting(&[1, 2, 3])).unwrap().images.nrows(), 4);
    let test = load(&format!("{spec}#x_test"), wanting(&[1, 2, 3])).unwrap();
    assert_eq!((test.images.nrows(), test.images[[1, 0]]), (3, 0.103));
    assert!(complaint(&format!("{spec}#y"), wanting(&[1, 2, 3])).contains("no array `y`; it has x_train, x_test"));
}

/// tests/fixtures/state_dicts/list.pt: three tensors [2, 3] of 0, 1 and 2 in a list, and the same under the key `items`
/// beside another tensor in nested_list.pt.
#[test]
fn a_list_of_equal_arrays_is_one_array() {
    let fixture = |name: &str| format!("{}/tests/fixtures/state_dicts/{name}", env!("CARGO_MANIFEST_DIR"));
    for spec in [fixture("list.pt"), format!("{}#items", fixture("nested_list.pt"))] {
        let list = load(&spec, wanting(&[1, 2, 3])).unwrap();
        let firsts: Vec<f32> = list.images.column(0).to_vec();
        assert_eq!((list.images.dim(), firsts), ((3, 6), vec![0.0, 1.0, 2.0]), "{spec}");
    }
    assert!(complaint(&fixture("nested_list.pt"), wanting(&[1, 2, 3])).contains("nested_list.pt#items.0"));
}

#[test]
fn integers_of_sixteen_bits_are_told_the_range_of_their_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x0.npy");
    let levels = Array::from_shape_fn((4, 2, 2), |(n, _, _)| 257u16 + 16_000 * n as u16);
    levels.write_npy(File::create(&path).unwrap()).unwrap();
    let spec = path.display().to_string();
    assert!(complaint(&spec, wanting(&[1, 2, 2])).contains("--scale 0..65535"));
    let scaled = load(&spec, LoadOptions { scale: Some("0..65535".parse().unwrap()), ..wanting(&[1, 2, 2]) }).unwrap();
    assert!((scaled.images[[0, 0]] - (2.0 / 255.0 - 1.0)).abs() < 1e-6);
}

fn write_npy<D: ndarray::Dimension>(path: &Path, array: &Array<f32, D>) {
    array.write_npy(File::create(path).unwrap()).unwrap();
}

#[test]
fn arrays_are_taken_as_they_are_with_a_warning_about_their_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x0.npy");
    let spec = path.display().to_string();
    let ramp = Array::from_shape_fn((4, 1, 2, 3), |(n, _, h, w)| (n * 6 + h * 3 + w) as f32 / 23.0);
    write_npy(&path, &ramp);
    let plain = load(&spec, wanting(&[1, 2, 3])).unwrap();
    assert_eq!(plain.images.iter().copied().collect::<Vec<f32>>(), ramp.iter().copied().collect::<Vec<f32>>());
    assert!(plain.warnings.iter().any(|warning| warning.contains("--scale")), "{:?}", plain.warnings);
    let scaled = load(&spec, LoadOptions { scale: Some("0..1".parse().unwrap()), ..wanting(&[1, 2, 3]) }).unwrap();
    assert!((scaled.images[[0, 0]] + 1.0).abs() < 1e-6 && (scaled.images[[3, 5]] - 1.0).abs() < 1e-6);
    assert!(scaled.warnings.is_empty(), "{:?}", scaled.warnings);
    assert!(complaint(&spec, wanting(&[3, 2, 3])).contains("[3, 2, 3]"));
}

#[test]
fn channels_last_arrays_are_turned_only_where_the_model_wants_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x0.npy");
    let last = Array::from_shape_fn((1, 2, 2, 3), |(_, h, w, c)| (c as f32 - 1.0) + 0.1 * (2 * h + w) as f32);
    write_npy(&path, &last);
    let turned = load(&path.display().to_string(), wanting(&[3, 2, 2])).unwrap();
    let first: Vec<f32> = turned.images.row(0).to_vec();
    let expected = [-1.0, -0.9, -0.8, -0.7, 0.0, 0.1, 0.2, 0.3, 1.0, 1.1, 1.2, 1.3];
    assert!(first.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-6), "{first:?}");
    assert_eq!(load(&path.display().to_string(), wanting(&[2, 2, 3])).unwrap().shape, [2, 2, 3]);
}

#[test]
fn numbers_that_are_none_are_counted_and_placed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x0.npy");
    let mut broken = Array::<f32, _>::zeros((3, 4));
    broken[[1, 2]] = f32::NAN;
    broken[[2, 0]] = f32::INFINITY;
    write_npy(&path, &broken);
    let says = complaint(&path.display().to_string(), LoadOptions::default());
    assert!(says.contains('2') && says.contains("[1, 2]"), "{says}");
}

#[test]
fn the_same_numbers_have_the_same_fingerprint() {
    let (a, b) = (load("digits", wanting(&[1, 8, 8])).unwrap(), load("digits", wanting(&[1, 8, 8])).unwrap());
    assert_eq!((a.sha256.len(), &a.sha256), (64, &b.sha256));
    let fewer = load("digits", LoadOptions { limit: Some(10), ..wanting(&[1, 8, 8]) }).unwrap();
    assert_ne!(a.sha256, fewer.sha256);
}
