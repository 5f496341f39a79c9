"""Who may flag, and who may answer."""

from shared.runtime.identity import Role

FLAGGERS = (Role.SME, Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.SOFTWARE_ENGINEER, Role.RISK_MANAGER, Role.AUDITOR)
ANSWERERS = (Role.SME, Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.DEVOPS, Role.RISK_MANAGER)
RULERS = (Role.SME, Role.DATA_SCIENTIST, Role.RISK_MANAGER)
