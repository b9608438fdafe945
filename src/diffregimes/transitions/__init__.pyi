from .comparison import compare as compare
from .crossing import Resampled as Resampled
from .crossing import resample as resample
from .needed import points_needed as points_needed
from .needed import scan as scan
from .points import most_exposed as most_exposed
from .points import point_times as point_times
