from .entropy import model_entropy as model_entropy
from .findings import Audit as Audit
from .findings import Judgement as Judgement
from .losses import Losses as Losses
from .losses import denoising_losses as denoising_losses
