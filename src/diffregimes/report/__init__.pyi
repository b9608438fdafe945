from .folder import check_target as check_target
from .folder import staged as staged
from .page.analysis import write_report as write_report
from .page.audit import write_audit as write_audit
from .runs import write_generated as write_generated
from .runs import write_outcome as write_outcome
from .runs import write_run as write_run
