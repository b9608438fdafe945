from .analysis import write_report as write_report
from .audit import write_audit as write_audit
