/** From words to pictures: encoding texts, sampling latents, decoding them. */
import {
  images,
  type NodeCall,
  type NodeClass,
  type NodeResult,
  num,
  picturesOf,
  str,
} from '../node-class.ts';
import { jpeg, type Picture, paint, sketch } from '../pictures.ts';
import { PythonError } from '../python-error.ts';
import { modelOf } from './loaders.ts';

interface Conditioning {
  readonly kind: 'conditioning';
  readonly text: string;
}
/** Sizes are those of the pictures to come; `subject` decides what will be seen, `source` is what was encoded. */
export interface Latent {
  readonly kind: 'latent';
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly subject: string;
  readonly source: readonly Picture[];
}

const SAMPLERS =
  'euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 dpm_2 dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2'.split(
    ' ',
  );
const SCHEDULERS = [
  'simple',
  'sgm_uniform',
  'karras',
  'exponential',
  'ddim_uniform',
  'beta',
  'normal',
  'linear_quadratic',
  'kl_optimal',
];

function latentOf(value: unknown): Latent {
  const latent = value as Latent | undefined;
  if (latent?.kind === 'latent') return latent;
  throw new PythonError('TypeError', "'NoneType' object is not subscriptable");
}
function textOf(value: unknown): string {
  return (value as Conditioning | undefined)?.text ?? '';
}

const CLIP_TEXT_ENCODE: NodeClass = {
  name: 'CLIPTextEncode',
  displayName: 'CLIP Text Encode (Prompt)',
  category: 'conditioning',
  required: {
    text: ['STRING', { multiline: true, dynamicPrompts: true, tooltip: 'The text to be encoded.' }],
    clip: ['CLIP', { tooltip: 'The CLIP model used for encoding the text.' }],
  },
  outputs: ['CONDITIONING'],
  run: ({ inputs }) => {
    modelOf(inputs.clip);
    return { outputs: [{ kind: 'conditioning', text: str(inputs.text) }] };
  },
};

const EMPTY_LATENT: NodeClass = {
  name: 'EmptyLatentImage',
  displayName: 'Empty Latent Image',
  category: 'latent',
  required: {
    width: [
      'INT',
      { default: 512, min: 16, max: 16384, step: 8, tooltip: 'The width of the latent images in pixels.' },
    ],
    height: [
      'INT',
      { default: 512, min: 16, max: 16384, step: 8, tooltip: 'The height of the latent images in pixels.' },
    ],
    batch_size: [
      'INT',
      { default: 1, min: 1, max: 4096, tooltip: 'The number of latent images in the batch.' },
    ],
  },
  outputs: ['LATENT'],
  run: ({ inputs }) => {
    const floor8 = (value: unknown): number => Math.floor(num(value) / 8) * 8;
    const latent: Latent = {
      kind: 'latent',
      width: floor8(inputs.width),
      height: floor8(inputs.height),
      batch: num(inputs.batch_size),
      subject: '',
      source: [],
    };
    return { outputs: [latent] };
  },
};

async function sample(call: NodeCall): Promise<NodeResult> {
  const { inputs } = call;
  const latent = latentOf(inputs.latent_image);
  const model = modelOf(inputs.model);
  const words = ['seed', 'steps', 'cfg', 'sampler_name', 'scheduler', 'denoise'].map((name) =>
    String(inputs[name]),
  );
  const subject = [model, textOf(inputs.positive), textOf(inputs.negative), latent.subject, ...words].join(
    '\0',
  );
  await call.useModel(model);
  const steps = num(inputs.steps);
  for (let step = 1; step <= steps; step += 1) {
    if (call.stepMs > 0) await call.sleep(call.stepMs);
    await call.progress(
      step,
      steps,
      call.previews ? await preview(latent, subject, step / steps) : undefined,
    );
  }
  const keepsSource = num(inputs.denoise) < 1;
  return { outputs: [{ ...latent, subject, source: keepsSource ? latent.source : [] } satisfies Latent] };
}

async function preview(
  latent: Latent,
  subject: string,
  progress: number,
): Promise<{ format: 'JPEG'; bytes: Buffer }> {
  const picture = sketch(latent.width, latent.height, `${subject}\0${0}`, progress);
  return { format: 'JPEG', bytes: await jpeg(picture, latent.width, latent.height) };
}

const KSAMPLER: NodeClass = {
  name: 'KSampler',
  category: 'sampling',
  description: 'Uses the provided model, positive and negative conditioning to denoise the latent image.',
  required: {
    model: ['MODEL', { tooltip: 'The model used for denoising the input latent.' }],
    seed: [
      'INT',
      {
        default: 0,
        min: 0,
        max: 2 ** 64,
        control_after_generate: true,
        tooltip: 'The random seed used for creating the noise.',
      },
    ],
    steps: [
      'INT',
      { default: 20, min: 1, max: 10000, tooltip: 'The number of steps used in the denoising process.' },
    ],
    cfg: [
      'FLOAT',
      {
        default: 8,
        min: 0,
        max: 100,
        step: 0.1,
        round: 0.01,
        tooltip: 'How closely the image follows the prompt.',
      },
    ],
    sampler_name: [SAMPLERS, { tooltip: 'The algorithm used when sampling.' }],
    scheduler: [SCHEDULERS, { tooltip: 'How noise is removed over the steps.' }],
    positive: ['CONDITIONING', { tooltip: 'What should be in the image.' }],
    negative: ['CONDITIONING', { tooltip: 'What should not be in the image.' }],
    latent_image: ['LATENT', { tooltip: 'The latent image to denoise.' }],
    denoise: [
      'FLOAT',
      {
        default: 1,
        min: 0,
        max: 1,
        step: 0.01,
        tooltip: 'How much is changed; lower keeps more of the input.',
      },
    ],
  },
  outputs: ['LATENT'],
  outputTooltips: ['The denoised latent.'],
  run: sample,
};

const VAE_DECODE: NodeClass = {
  name: 'VAEDecode',
  displayName: 'VAE Decode',
  category: 'latent',
  description: 'Decodes latent images back into pixel space images.',
  required: {
    samples: ['LATENT', { tooltip: 'The latent to be decoded.' }],
    vae: ['VAE', { tooltip: 'The VAE model used for decoding the latent.' }],
  },
  outputs: ['IMAGE'],
  outputNames: ['IMAGE'],
  run: async ({ inputs }) => {
    modelOf(inputs.vae);
    const latent = latentOf(inputs.samples);
    if (latent.source.length > 0) return { outputs: [images(latent.source)] };
    const painted = Array.from({ length: latent.batch }, (_, index) =>
      paint(latent.width, latent.height, `${latent.subject}\0${index}`),
    );
    return { outputs: [images(await Promise.all(painted))] };
  },
};

const VAE_ENCODE: NodeClass = {
  name: 'VAEEncode',
  displayName: 'VAE Encode',
  category: 'latent',
  required: { pixels: ['IMAGE'], vae: ['VAE'] },
  outputs: ['LATENT'],
  run: ({ inputs }) => {
    const pictures = picturesOf(inputs.pixels);
    const [first] = pictures;
    const latent: Latent = {
      kind: 'latent',
      width: first?.width ?? 0,
      height: first?.height ?? 0,
      batch: pictures.length,
      subject: 'encoded',
      source: pictures,
    };
    return { outputs: [latent] };
  },
};

export const SAMPLING_NODES: readonly NodeClass[] = [
  KSAMPLER,
  CLIP_TEXT_ENCODE,
  VAE_DECODE,
  VAE_ENCODE,
  EMPTY_LATENT,
];
