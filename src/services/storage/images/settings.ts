// In charge of: the settings of image transformations: `[storage.image_transformation]` of config.toml, and the variables of upstream and its imgproxy.
// Source: supabase/storage src/config.ts; supabase/cli apps/cli-go/internal/start/start.go (the bounds that it gives imgproxy).
import { parseSizeBytes } from '../../../base/bytes.ts';
import { flag, parsed, wholeNumber } from '../../../base/settings.ts';

const live = true;
const aSize = 'a number of bytes, or a size such as "25MB"';
const size = (raw: unknown) => parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw);

export const imageSettings = {
  imagesEnabled: flag({
    key: 'storage.image_transformation.enabled',
    env: ['IMAGE_TRANSFORMATION_ENABLED', 'ENABLE_IMAGE_TRANSFORMATION'],
    default: true,
    live,
    sentence: 'Whether images are made smaller, cropped and given in other formats by `/render/image`.',
  }),
  imageMinSide: wholeNumber({
    key: 'storage.image_transformation.min_size',
    env: ['IMAGE_TRANSFORMATION_LIMIT_MIN_SIZE', 'IMG_LIMITS_MIN_SIZE'],
    default: 1,
    min: 1,
    unit: 'pixels',
    live,
    sentence: 'The smallest width and height that can be asked for; less is taken for this.',
  }),
  imageMaxSide: wholeNumber({
    key: 'storage.image_transformation.max_size',
    env: ['IMAGE_TRANSFORMATION_LIMIT_MAX_SIZE', 'IMG_LIMITS_MAX_SIZE'],
    default: 2000,
    min: 1,
    max: 8192,
    unit: 'pixels',
    live,
    sentence: 'The largest width and height that can be asked for; more is taken for this.',
  }),
  imageMaxBytes: parsed(
    {
      key: 'storage.image_transformation.max_source_bytes',
      env: ['IMGPROXY_MAX_SRC_FILE_SIZE'],
      default: 25_000_000,
      unit: 'bytes',
      live,
      sentence: 'The largest file that is opened as an image.',
    },
    aSize,
    size,
  ),
  imageMaxMegapixels: wholeNumber({
    key: 'storage.image_transformation.max_source_megapixels',
    env: ['IMGPROXY_MAX_SRC_RESOLUTION'],
    default: 50,
    min: 1,
    max: 250,
    unit: 'megapixels',
    live,
    sentence: 'The most pixels that an image may have, all frames of a moving one together.',
  }),
  imageMaxFrames: wholeNumber({
    key: 'storage.image_transformation.max_frames',
    env: ['IMGPROXY_MAX_ANIMATION_FRAMES'],
    default: 60,
    min: 1,
    unit: 'frames',
    live,
    sentence: 'How many frames of a moving image are kept; the rest is left out.',
  }),
  imageTimeoutSeconds: wholeNumber({
    key: 'storage.image_transformation.timeout',
    env: ['IMGPROXY_REQUEST_TIMEOUT'],
    default: 15,
    min: 1,
    max: 300,
    unit: 'seconds',
    live,
    sentence: 'How long one image may be worked on, and how long it waits for its turn before.',
  }),
  imageMaxParallel: wholeNumber({
    key: 'storage.image_transformation.max_parallel',
    env: ['MILLRACE_IMAGES_MAX_PARALLEL'],
    default: 2,
    min: 1,
    max: 64,
    unit: 'images',
    live,
    sentence: 'Images that this process works on at once; the others wait.',
  }),
  imageMaxWaiting: wholeNumber({
    key: 'storage.image_transformation.max_waiting',
    env: ['MILLRACE_IMAGES_MAX_WAITING', 'IMGPROXY_REQUESTS_QUEUE_SIZE'],
    default: 64,
    min: 0,
    unit: 'images',
    live,
    sentence: 'Images that wait for their turn; one more is told to come back with 503.',
  }),
  imageCacheBytes: parsed(
    {
      key: 'storage.image_transformation.cache_size',
      env: ['MILLRACE_IMAGES_CACHE_SIZE'],
      default: 256 * 1024 * 1024,
      unit: 'bytes',
      live,
      sentence:
        'How many bytes of transformed images this process keeps in its state folder; those that were not asked for the longest go first. 0: none.',
    },
    aSize,
    size,
  ),
} as const;
