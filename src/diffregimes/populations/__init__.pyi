from . import covariances as covariances
from . import curves as curves
from . import mixture as mixture
from . import specs as specs
from .covariances import Covariance as Covariance
from .mixture import GaussianMixture as GaussianMixture
from .mixture import from_spec as from_spec
from .mixture import two_gaussians as two_gaussians
