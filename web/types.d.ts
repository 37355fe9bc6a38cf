// What JSDoc cannot say to TypeScript: the events with their details, listeners that know them, and the element's tag.
import type { Classifier, Result } from './classifier.js';
import type { CxrLens } from './element.js';
import type { Failure, Progress } from './element/queue.js';

/** The element's own events, by name. */
export interface CxrEvents {
  'cxr-ready': CustomEvent<Classifier['info']>;
  'cxr-progress': CustomEvent<Progress>;
  'cxr-result': CustomEvent<{ result: Result; verdict: string; file: string }>;
  /** `file` is null if the classifier itself did not start. */
  'cxr-error': CustomEvent<{ error: Failure; file: string | null }>;
  'cxr-study': CustomEvent<{ images: number; retrieved: number; failed: number }>;
}

/** All events of the element. */
export interface CxrLensEventMap extends HTMLElementEventMap, CxrEvents {}

/** The events of the frame's host object. */
export interface CxrFrameEventMap extends Omit<CxrEvents, 'cxr-study'> {}

/** Sends one of the element's events. */
export type Emit = <K extends keyof CxrEvents>(name: K, detail: CxrEvents[K]['detail']) => void;

/** An EventTarget whose listeners know the frame's events. */
export declare class FrameTarget extends EventTarget {
  addEventListener<K extends keyof CxrFrameEventMap>(
    type: K,
    listener: (this: this, event: CxrFrameEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CxrFrameEventMap>(
    type: K,
    listener: (this: this, event: CxrFrameEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'cxr-lens': CxrLens;
  }
  /** The events bubble: an ancestor, the document and the window hear them, too. */
  interface GlobalEventHandlersEventMap extends CxrEvents {}
}
