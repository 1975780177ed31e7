"""Opens what `lipscope train` wrote in the folder that is given, and compares with the answers that lipscope gave.

Called by the test of trained checkpoints where LIPSCOPE_PYTHON is set. Needs torch 2.13.0 and diffusers 0.42.1.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-5


def compare(what, got, expected):
    difference = ((got - expected).abs().max() / expected.abs().max()).item()
    print(f"{what}: max |difference| / max |epsilon| = {difference:.1e}")
    if not difference <= TOLERANCE:
        sys.exit(f"{what} differs by {difference}, more than {TOLERANCE}")


@torch.no_grad()
def main(folder):
    expected = load_file(folder / "expected.safetensors")
    x, t, epsilon = expected["x"], expected["t"], expected["epsilon"]
    extra = {"lipscope.json": ""}
    module = torch.jit.load(folder / "model.pt", _extra_files=extra)
    described = json.loads(extra["lipscope.json"])
    name = described["training"]["variant"]
    compare(f"{name}, torch.jit.load", module(x, t), epsilon)
    compare(f"{name}, integer t", module(x, t.long()), epsilon)
    compare(f"{name}, one row", module(x[:1], t[:1]), epsilon[:1])
    module.train().eval()
    assert all(parameter.requires_grad for parameter in module.parameters())
    if not (folder / "model").is_dir():
        return
    from diffusers import DDPMScheduler, UNet2DModel

    unet = UNet2DModel.from_pretrained(folder / "model", subfolder="unet").eval()
    own = {key: value for key, value in module.state_dict().items() if not key.startswith("lipscope.")}
    unet.load_state_dict(own)
    condition = t
    if described.get("share"):
        # The README of the folder says how to map timesteps; what it prints must work as it stands.
        text = (folder / "model" / "README.md").read_text(encoding="utf-8")
        code = text.split("```python\n")[2].split("```")[0].replace("x_t", "x")
        names = {"unet": unet, "x": x, "t": t}
        exec(code, names)
        compare(f"{name}, the README's snippet", names["epsilon"], epsilon)
        condition = names["condition"](t)
    if unet.config.time_embedding_type == "learned":
        condition = condition.long()
    compare(f"{name}, UNet2DModel.from_pretrained", unet(x, condition).sample, epsilon)
    scheduler = DDPMScheduler.from_pretrained(folder / "model", subfolder="scheduler")
    assert scheduler.config.num_train_timesteps == 1000


main(Path(sys.argv[1]))
