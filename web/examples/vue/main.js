import { createApp } from 'vue';
import 'cxrlens/define';
import App from './App.vue';

createApp(App).mount('#app');
