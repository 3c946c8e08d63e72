// In charge of: /upload/resumable: uploads by the tus protocol, by a caller's own rights or by a link.
// Source: supabase/storage src/http/routes/tus/index.ts.
import type { Handle, Visit } from '../context.ts';

export const resumableUpload: Handle = (visit) => answer(visit, false);

export const signedResumableUpload: Handle = (visit) => answer(visit, true);

/** Who sends bytes counts among those who do. */
function answer(visit: Visit, isSigned: boolean) {
  const { resumable, transfers } = visit.storage;
  const work = () => resumable.answer(visit, isSigned);
  return visit.request.hasBody ? transfers.run(work) : work();
}
