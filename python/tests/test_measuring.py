"""The package with torch and a built lipscope: numbers, models in memory, sharing, the monitor."""

import copy
import importlib.util
import json
import math
import os
import signal
import subprocess
import threading
import time

import pytest

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")

import lipscope  # noqa: E402
from lipscope import program, tracing  # noqa: E402
from lipscope.tracing import trace  # noqa: E402

needs_pandas = pytest.mark.skipif(not importlib.util.find_spec("pandas"), reason="pandas is not installed")
needs_matplotlib = pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="matplotlib is not installed")
needs_diffusers = pytest.mark.skipif(not importlib.util.find_spec("diffusers"), reason="diffusers is not installed")

# float32 answers near 1 carry 1e-7 each; a difference over one step of a slope of 0.01 then carries 1e-5 of itself.
ROUNDING = 1e-4


class Slope(torch.nn.Module):
    """ε(x, t) = x + rate·t·u with ‖u‖ = 1: K = D = rate for every x. Dropout and a buffer as real models have them."""

    def __init__(self, rate=0.01, dtype=torch.float32):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(rate, dtype=dtype))
        self.register_buffer("u", torch.full((1, 4, 4), 0.25, dtype=dtype))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x, t):
        return self.dropout(x) + self.rate * t.view(-1, 1, 1, 1).to(x.dtype) * self.u


@pytest.fixture
def x0():
    return torch.rand(16, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


def options(**more):
    return {"schedule": "linear", "prediction": "epsilon", "samples": 8, "timesteps": [0, 10, 100], "device": "cpu", **more}


def means(report, quantity, model=0):
    curve = next(curve for curve in report.data["models"][model]["curves"] if curve["quantity"] == quantity)
    return [point["mean"] for point in curve["points"]]


def by_command_line(*arguments):
    path, environment = program.program()
    done = subprocess.run([path, *arguments], capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def curves(report):
    return [model["curves"] for model in report["models"]]


def test_a_closed_form_is_met(x0):
    report = lipscope.measure(Slope(0.01), data=x0, quantity="both", **options())
    assert means(report, "derivative") == pytest.approx([0.01] * 3, rel=ROUNDING)
    assert means(report, "secant") == pytest.approx([0.01] * 3, rel=ROUNDING)


def test_the_users_model_stays_as_it_is(x0):
    model = Slope()
    model.dropout.eval()  # one part in eval mode, the rest in training mode
    before = copy.deepcopy(model.state_dict())
    lipscope.measure(model, data=x0, **options())
    assert model.training and not model.dropout.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.rate.requires_grad


def test_numbers_are_the_command_lines_bit_for_bit(x0, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 1, 3, padding=1))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, t):
            return self.network(x * torch.cos(t / 30).view(-1, 1, 1, 1))

    report = lipscope.measure(Network(), data=x0, quantity="both", **options())
    trace(Network(), tmp_path / "model.pt", (1, 4, 4))
    numpy.save(tmp_path / "x0.npy", x0.numpy())
    flags = ["--schedule", "linear", "--prediction", "epsilon", "--samples", "8", "--timesteps", "0,10,100", "--device", "cpu"]
    paths = [str(tmp_path / "model.pt"), "--data", str(tmp_path / "x0.npy"), "--out", str(tmp_path / "out")]
    typed = by_command_line("measure", *paths, "--quantity", "both", *flags, "--json")
    assert curves(typed) == curves(report.data)


@needs_pandas
def test_the_table_holds_the_reports_numbers(x0):
    report = lipscope.measure(Slope(), data=x0, quantity="both", label="NA", **options())
    assert list(report.curve["model"].unique()) == ["NA"]
    for quantity in ("secant", "derivative"):
        assert list(report.curve.query("quantity == @quantity")["mean"]) == means(report, quantity)
    assert report.curve.query("quantity == 'derivative'")["t_next"].isna().all()


def test_bfloat16_and_a_module_of_whole_timesteps(x0):
    # Of bfloat16's 8 bits, x of size 1 leaves 0.004 for rate·t·u = 0.25 rate t: the rate has to be large.
    report = lipscope.measure(Slope(4.0, torch.bfloat16), data=x0.bfloat16(), **options(timesteps=[0, 3]))
    assert means(report, "secant") == pytest.approx([4.0] * 2, rel=0.02)

    class Table(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(1000, 16)
            self.table.weight.data[:] = torch.arange(1000.0)[:, None]

        def forward(self, x, t):
            return x + 0.01 * self.table(t).view(-1, 1, 4, 4)

    assert means(lipscope.measure(Table(), data=x0, **options()), "secant") == pytest.approx([0.04] * 3, rel=ROUNDING)


def test_weights_on_the_cpu_are_shared_with_the_copy_and_not_doubled():
    model = Slope()
    copied = tracing.cpu_copy(model)
    assert copied.rate.data_ptr() == model.rate.data_ptr() and copied.rate is not model.rate


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_model_on_the_gpu_stays_there(x0):
    model = Slope().cuda()
    report = lipscope.measure(model, data=x0.cuda(), **options())
    assert model.u.is_cuda and means(report, "secant") == pytest.approx([0.01] * 3, rel=ROUNDING)


def test_a_trace_with_the_batch_size_baked_in_is_refused(x0):
    class Baked(torch.nn.Module):
        def forward(self, x, t):
            return x * torch.tensor([float(t[0]), float(t[-1])]).view(-1, 1, 1, 1)[: len(x)]

    class Branching(torch.nn.Module):
        def forward(self, x, t):
            return x * 2 if len(x) == 2 else x

    for model in (Baked(), Branching()):
        with pytest.raises(lipscope.Error, match="batch"):
            lipscope.measure(model, data=x0, **options())


def test_errors_say_what_to_do(x0):
    with pytest.raises(lipscope.Error, match="--nonsense") as raised:
        lipscope.measure(Slope(), data=x0, nonsense=3)
    assert raised.value.code == 2
    with pytest.raises(lipscope.Error, match="A dict is not a model"):
        lipscope.measure({}, data=x0)
    with pytest.raises(lipscope.Error, match=r"pass shape=\(3, 32, 32\)"):
        lipscope.measure(Slope(), data="digits")
    with pytest.raises(lipscope.Error, match=r"does not answer to f\(x, t\)"):
        lipscope.measure(torch.nn.Linear(4, 4), data=x0)


def test_sharing_holds_the_timestep_still(x0):
    shared = lipscope.share(Slope(), [0, 20, 50, 100])
    t = torch.tensor([0.0, 19.0, 20.0, 49.5, 99.0, 100.0, 500.0])
    expected = torch.tensor([0.0, 0.0, 20.0, 20.0, 50.0, 100.0, 500.0])
    for kind in (torch.float32, torch.float64, torch.bfloat16):
        assert torch.equal(shared.shared(t.to(kind)), expected.to(kind))
    assert torch.equal(shared.shared(t.long()), torch.tensor([0, 0, 20, 20, 50, 100, 500]))
    assert shared.shared(30) == 20 and shared.shared(30.5) == 20.0
    model = Slope().eval()
    shared = lipscope.share(model, "0-20-50-100")
    x = x0[:7]
    assert torch.equal(shared(x, t), model(x, expected)) and torch.equal(shared(x, t=t), model(x, expected))
    assert torch.equal(shared.u, model.u), "attributes are the module's"
    assert list(shared.parameters())[0] is model.rate

    report = lipscope.compare(model, shared, data=x0, **options(timesteps=[0, 19, 30, 200]))
    assert means(report, "secant", 1) == pytest.approx([0, 0.2, 0, 0.01], rel=ROUNDING)
    alone = lipscope.measure(shared, data=x0, **options(timesteps=[0, 19, 30, 200]))
    assert means(alone, "secant") == means(report, "secant", 1)
    with pytest.raises(lipscope.Error, match="ascending"):
        lipscope.share(model, [20, 0])


def test_a_suggestion_is_used_as_it_is():
    report = lipscope.theory("digits", timesteps="0..200", device="cpu")
    suggestion = report.suggestion
    assert suggestion.boundaries == lipscope.suggest(report).boundaries and len(suggestion.intervals) == 5
    few = lipscope.suggest(report, intervals=2)
    edges = few.boundaries
    assert len(edges) == 3
    shared = lipscope.share(Slope(), few)
    assert shared.shared(int(edges[1]) - 1) == edges[0] and shared.shared(int(edges[2])) == edges[2]
    names = {}
    exec(few.snippet, names)  # the same f(t) as the one that it has for pasting
    t = torch.arange(1000)
    assert torch.equal(names["shared"](t), shared.shared(t))


def test_an_interrupt_keeps_what_is_finished_and_the_same_call_goes_on(x0, tmp_path):
    given = options(timesteps="0..400", samples=64, batch=8)
    out = tmp_path / "out"

    def interrupt():
        while not any((out / "units").glob("*")) if (out / "units").is_dir() else True:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        lipscope.measure(Slope(), data=x0, out=out, **given)
    thread.join()
    assert not lipscope.Report(out).data["complete"]
    report = lipscope.measure(Slope(), data=x0, out=out, **given)
    whole = lipscope.measure(Slope(), data=x0, **given)
    assert report.data["complete"] and curves(report.data) == curves(whole.data)


@needs_pandas
def test_the_monitor_follows_a_model(x0):
    monitor = lipscope.Monitor(data=x0, every=10, schedule="linear", prediction="epsilon", device="cpu")
    model = Slope(0.01)
    logged = {}
    for step in range(21):
        with torch.no_grad():
            model.rate += 0.001
        logged.update({step: scalars} if (scalars := monitor(model, step)) else {})
    assert list(logged) == [0, 10, 20]
    peaks = [scalars["lipscope/secant/near_zero_max"] for scalars in logged.values()]
    assert peaks == pytest.approx([0.011, 0.021, 0.031], rel=ROUNDING)
    assert all(math.isfinite(number) for scalars in logged.values() for number in scalars.values())
    assert set(monitor.history["step"]) == {0, 10, 20}
    with pytest.raises(lipscope.Error, match="every"):
        lipscope.Monitor(data=x0, every=0)


@needs_pandas
@needs_matplotlib
def test_figures_show_the_numbers(x0):
    import matplotlib

    matplotlib.use("Agg")
    monitor = lipscope.Monitor(data=x0, every=1, schedule="linear", prediction="epsilon", device="cpu")
    for step in range(3):
        monitor(Slope(0.01 * (step + 1)), step)
    mesh = monitor.plot().collections[0].get_array()
    assert mesh.shape[1] == 3 and mesh.max() == pytest.approx(0.03, rel=ROUNDING)
    report = monitor.reports[0][1]
    line = report.plot().lines[0]
    assert list(line.get_ydata()) == means(report, "secant")


def test_a_notebook_shows_the_page(x0):
    page = lipscope.measure(Slope(), data=x0, **options())._repr_html_()
    assert page.startswith("<iframe srcdoc=") and "Slope" in page


@needs_diffusers
def test_a_diffusers_model_is_measured_in_lipscopes_own_layers(x0, tmp_path):
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        8, 1, 1, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )  # fmt: skip
    x0 = torch.rand(16, 1, 8, 8) * 2 - 1
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    given = {"samples": 8, "timesteps": [0, 10, 100], "device": "cpu", "quantity": "both"}
    report = lipscope.measure(unet, scheduler=scheduler, data=x0, **given)
    assert report.data["models"][0]["model"]["derivative"] == "tangents through the layers"
    assert report.data["models"][0]["model"]["prediction"] == "v"
    pipeline = DDPMPipeline(unet, scheduler)
    assert curves(lipscope.measure(pipeline, data=x0, **given).data) == curves(report.data)

    pipeline.save_pretrained(tmp_path / "pipeline")
    numpy.save(tmp_path / "x0.npy", x0.numpy())
    flags = ["--samples=8", "--timesteps=0,10,100", "--device=cpu", "--quantity=both", "--json", f"--out={tmp_path / 'out'}"]
    typed = by_command_line("measure", str(tmp_path / "pipeline"), f"--data={tmp_path / 'x0.npy'}", *flags)
    assert curves(typed) == curves(report.data)

    pipeline.unet = lipscope.share(unet, [0, 20, 100])
    assert pipeline.unet.config.sample_size == 8
    pictures = pipeline(batch_size=1, num_inference_steps=2, output_type="np").images
    assert numpy.isfinite(pictures).all()
    # The network's output is held still; ε is converted from it with factors of t that are not.
    given = {**given, "of": "output", "quantity": "secant"}
    reports = [lipscope.measure(model, scheduler=scheduler, data=x0, **given) for model in (unet, pipeline.unet)]
    alone, wrapped = (means(report, "secant") for report in reports)
    # At 100 the two are the same function; rows that share a network call differ with the plan, and so do last bits.
    assert wrapped[:2] == [0, 0] and wrapped[2] == pytest.approx(alone[2], rel=ROUNDING) and min(alone) > 0
