from .cloud import Cloud as Cloud
from .cloud import prepare as prepare
from .datasets import Dataset as Dataset
from .datasets import describe as describe
from .datasets import from_arrays as from_arrays
from .neighbours import duplicates as duplicates
from .neighbours import nearest_neighbours as nearest_neighbours
from .readers import load as load
