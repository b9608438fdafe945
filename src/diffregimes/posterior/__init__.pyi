from .grid import adapt_times as adapt_times
from .grid import pilot_times as pilot_times
from .moments import Draws as Draws
from .moments import Moments as Moments
from .moments import draw_block as draw_block
from .moments import merge as merge
from .sweep import Sample as Sample
