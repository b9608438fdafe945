from . import auditing as auditing
from . import backward as backward
from . import data as data
from . import learned as learned
from . import populations as populations
from . import posterior as posterior
from . import process as process
from . import report as report
from . import results as results
from . import scores as scores
from . import theory as theory
from . import transitions as transitions
from .analysis import analyze as analyze
from .auditing.audit import audit as audit
from .auditing.findings import Audit as Audit
from .backward.clones import run_clones as run_clones
from .backward.outcome import Outcome as Outcome
from .common.checks import InputError as InputError
from .data.datasets import Dataset as Dataset
from .data.datasets import from_arrays as from_arrays
from .data.readers import load as load
from .learned.adapters import load_score as load_score
from .results import Analysis as Analysis
from .results import Curves as Curves
from .results import TransitionTime as TransitionTime

__version__: str
