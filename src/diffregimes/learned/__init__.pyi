from .adapters import learned_score as learned_score
from .adapters import load_score as load_score
from .adapters import module_score as module_score
from .classifier import load_classifier as load_classifier
from .classifier import train_classifier as train_classifier
from .models import open_model as open_model
from .training import train as train
