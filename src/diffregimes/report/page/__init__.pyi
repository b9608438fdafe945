from . import analysis as analysis
from . import audit as audit
from . import base as base
from . import pictures as pictures
from . import strip as strip
from .analysis import write_report as write_report
from .audit import write_audit as write_audit
