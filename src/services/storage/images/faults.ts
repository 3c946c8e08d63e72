// In charge of: what a client hears when an image cannot be made. Source: supabase/storage src/storage/renderer/image.ts `getImageProcessingError`.
import { StorageFault } from '../errors.ts';

const refused = (message: string, cause?: unknown) =>
  new StorageFault({ status: 400, code: 'InvalidRequest', message }, cause);

export const notAnImage = (cause?: unknown) =>
  refused('The source image is invalid or unsupported for rendering', cause);
export const tooManyPixels = (cause?: unknown) =>
  refused('The source image resolution is too large to process', cause);
export const fileTooLarge = () => refused('The source image file is too large to process');

export const tookTooLong = (cause?: unknown) =>
  new StorageFault({ status: 408, code: 'InvalidRequest', message: 'Image request timed out' }, cause);

export const tooManyImages = () =>
  new StorageFault({
    status: 503,
    code: 'SlowDown',
    message: 'This server works on as many images as it can at once. Try again in a moment.',
    wireStatus: 503,
    headers: { 'retry-after': '1' },
  });

export const cannotOpenImages = (cause: unknown) =>
  new StorageFault(
    {
      status: 500,
      code: 'InternalError',
      message: `This server cannot transform images: its library for them, sharp, has no build for ${process.platform}-${process.arch} here. Install it by "npm install --include=optional sharp", or set [storage.image_transformation] enabled = false.`,
    },
    cause,
  );
