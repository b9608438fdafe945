from .checks import InputError as InputError
from .parallel import Progress as Progress
from .parallel import workers as workers
from .rng import numpy_generator as numpy_generator
from .rng import torch_generator as torch_generator
