/** Every operation by its name: what the server registers, OpenAPI describes and the client offers. */
import { approvalOperations } from './approvals.js'
import { auditOperations } from './audit.js'
import { execOperations } from './exec.js'
import { fileOperations } from './files.js'
import { healthOperations } from './health.js'
import { listOperations } from './lists.js'
import { loginOperations } from './login.js'
import { logsOperations } from './logs.js'
import { resourceManagerOperations } from './resource-manager.js'
import { ruleOperations } from './rules.js'
import { sessionOperations } from './sessions.js'
import { targetOperations } from './targets.js'
import { topOperations } from './top.js'
import { userOperations } from './users.js'

export const OPERATIONS = {
  ...loginOperations,
  ...targetOperations,
  ...topOperations,
  ...sessionOperations,
  ...auditOperations,
  ...ruleOperations,
  ...listOperations,
  ...userOperations,
  ...healthOperations,
  ...approvalOperations,
  ...execOperations,
  ...fileOperations,
  ...logsOperations,
  ...resourceManagerOperations,
}
export type OperationName = keyof typeof OPERATIONS
